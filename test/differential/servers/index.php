<?php
// What PHP reads: $_GET and $_POST with its names for parameters, json_decode, and the method as Symfony and Laravel take it: the field, then the
// form's or the JSON's _method, then the query's, of a POST.
$json = json_decode(file_get_contents('php://input'), true);
$typed = str_contains($_SERVER['CONTENT_TYPE'] ?? '', 'json');
$body = $typed && is_array($json) ? $json : [];
$method = $_SERVER['REQUEST_METHOD'];
if ($method === 'POST') {
  $override = $_SERVER['HTTP_X_HTTP_METHOD_OVERRIDE'] ?? $_POST['_method'] ?? $body['_method'] ?? $_GET['_method'] ?? null;
  if (is_string($override) && $override !== '') $method = strtoupper($override);
}
$path = rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?? '/');
$force = $_GET['force'] ?? '';
header('Content-Type: application/json');
header('X-Read-By: php');
// PHP reads 1e400 as infinity, and JSON has no word for it.
$told = fn($value) => is_float($value) && is_infinite($value) ? ($value > 0 ? 1e308 : -1e308) : $value;
$read = fn($value) => is_array($value) ? array_map($told, $value) : $told($value);
echo json_encode([
  'method' => $method, 'route' => preg_match('#^/admin(/|$)#', $path) ? 'admin' : 'open',
  'amount' => $read($body['amount'] ?? 0), 'skip' => $read($body['skip'] ?? false),
  'force' => is_array($force) ? (string) end($force) : $force, 'failed' => $typed && $json === null,
]);
