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
echo json_encode([
  'method' => $method, 'route' => preg_match('#^/admin(/|$)#', $path) ? 'admin' : 'open', 'amount' => $body['amount'] ?? 0, 'skip' => $body['skip'] ?? false,
  'force' => is_array($force) ? (string) end($force) : $force, 'failed' => $typed && $json === null,
]);
