// Command tsa serves Sigstore's timestamp authority on loopback, for the tests, with a chain that is new at each start.
//
// tsa PORT: the service's own handlers and signer. Its own program also serves metrics, at a fixed port of every address of the machine,
// and ends where that port is taken: a second instance could not run beside the first.
package main

import (
	"log"
	"os"
	"strconv"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

const (
	policy = "1.3.6.1.4.1.57264.2" // the service's default
	limit  = 1 << 20               // bytes of a request, likewise
)

func main() {
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for name, value := range map[string]any{
		"timestamp-signer": "memory", "timestamp-signer-hash": "sha256", "default-policy-oid": policy, "accepted-policy-oids": []string{policy},
		"max-request-body-size": limit,
	} {
		viper.Set(name, value)
	}
	log.Fatal(server.NewRestAPIServer("127.0.0.1", port, []string{"http"}, false, time.Minute, time.Minute).Serve())
}
