#!/bin/sh
# Installs moto, a server that speaks as AWS does, and botocore, AWS's own client library, for the test beside this script:
# install.sh FOLDER, then put FOLDER/bin on PATH. Needs Python 3 with venv, and 400 MB of disk. Nothing is installed outside FOLDER and pip's own cache.
set -eu

version=${MOTO_VERSION:-5.2.5}
target=${1:?Usage: install.sh FOLDER}
python3 -m venv "$target"
"$target/bin/pip" install --quiet "moto[server]==$version"
"$target/bin/python" -c 'import botocore, importlib.metadata as m; print("moto", m.version("moto"), "botocore", botocore.__version__)'
