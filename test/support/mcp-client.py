# The Python SDK as an agent would use it, with its default configuration: one call of transfer_funds per line on standard input
# (the amount), one line of JSON per result on standard output. Arguments: URL, token, mode of the client (legacy or auto).

import asyncio
import json
import sys

from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


async def main() -> None:
    url, token, mode = sys.argv[1:4]
    http = create_mcp_http_client(headers={"authorization": f"Bearer {token}"})
    async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        print(json.dumps({"ready": True}), flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            result = await client.call_tool("transfer_funds", {"amount": int(line)})
            print(result.model_dump_json(by_alias=True), flush=True)


asyncio.run(main())
