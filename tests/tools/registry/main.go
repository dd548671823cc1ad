// Command registry serves go-containerregistry's registry with the Referrers API switched on, for the tests.
package main

import (
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	handler := registry.New(registry.WithReferrersSupport(true), registry.WithBlobHandler(registry.NewDiskBlobHandler(os.Args[2])))
	log.Fatal(http.Serve(listener, handler)) //nolint:gosec // loopback, for the length of a test
}
