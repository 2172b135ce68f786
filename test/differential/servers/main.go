// What a plain Go server reads: net/http for the request, encoding/json for the body, and the method as gorilla/handlers' HTTPMethodOverrideHandler
// takes it (a form's _method, or X-HTTP-Method-Override, of a POST).
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

type order struct {
	Amount float64 `json:"amount"`
	Skip   bool    `json:"skip"`
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	mux := http.NewServeMux()
	mux.HandleFunc("/admin", func(w http.ResponseWriter, r *http.Request) { read(w, r, "admin") })
	mux.HandleFunc("/admin/", func(w http.ResponseWriter, r *http.Request) { read(w, r, "admin") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { read(w, r, "open") })
	panic(http.Serve(listener, mux))
}

func read(w http.ResponseWriter, r *http.Request, route string) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	method := r.Method
	if method == "POST" {
		if override := r.FormValue("_method"); override != "" {
			method = override
		} else if override := r.Header.Get("X-HTTP-Method-Override"); override != "" {
			method = override
		}
	}
	var o order
	failed := false
	if strings.Contains(r.Header.Get("Content-Type"), "json") && len(body) > 0 {
		failed = json.NewDecoder(bytes.NewReader(body)).Decode(&o) != nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Read-By", "go")
	json.NewEncoder(w).Encode(map[string]any{
		"method": method, "route": route, "amount": o.Amount, "skip": o.Skip, "force": r.URL.Query().Get("force"), "failed": failed,
	})
}
