# What Flask reads: request.get_json, request.form, request.args, and the method as the pattern of its documentation takes it (X-HTTP-Method-Override),
# or from a form's _method.
from math import isinf

from flask import Flask, jsonify, request
from werkzeug.serving import make_server


class Override:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "").upper()
        if method:
            environ["REQUEST_METHOD"] = method
        return self.app(environ, start_response)


app = Flask(__name__)
app.wsgi_app = Override(app.wsgi_app)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def told(value):
    # Python reads 1e400 as infinity, and JSON has no word for it.
    if isinstance(value, float) and isinf(value):
        return 1e308 if value > 0 else -1e308
    return [told(each) for each in value] if isinstance(value, list) else value


def read(route):
    body = request.get_json(silent=True)
    failed = request.is_json and body is None
    body = body if isinstance(body, dict) else {}
    method = request.form.get("_method") or request.method
    answer = jsonify(method=method.upper(), route=route, amount=told(body.get("amount", 0)), skip=told(body.get("skip", False)),
                     force=request.args.get("force", ""), failed=failed)
    answer.headers["X-Read-By"] = "flask"
    return answer


@app.route("/admin", methods=METHODS, strict_slashes=False)
@app.route("/admin/<path:rest>", methods=METHODS)
def admin(rest=""):
    return read("admin")


@app.route("/", defaults={"rest": ""}, methods=METHODS)
@app.route("/<path:rest>", methods=METHODS)
def anything(rest):
    return read("open")


server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
