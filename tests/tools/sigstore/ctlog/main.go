// Command ctlog serves a certificate transparency log on loopback, for the tests: the real CTFE over Trillian, kept in memory.
//
// ctlog PORT ROOTS.pem KEY.der: prefix "test"; the key is DER, since CTFE refuses PEM keys without a password.
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/certificate-transparency-go/trillian/ctfe"
	"github.com/google/certificate-transparency-go/trillian/ctfe/configpb"
	"github.com/google/trillian"
	"github.com/google/trillian/client"
	"github.com/google/trillian/crypto/keys"
	"github.com/google/trillian/crypto/keys/der"
	"github.com/google/trillian/crypto/keyspb"
	"github.com/google/trillian/extension"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/storage/memory"
	"github.com/google/trillian/testonly/integration"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

func main() {
	port, roots, key := os.Args[1], os.Args[2], os.Args[3]
	keys.RegisterHandler(&keyspb.PrivateKey{}, der.FromProto)
	served := handler(context.Background(), roots, must(os.ReadFile(key)))
	log.Fatal(http.Serve(must(net.Listen("tcp", "127.0.0.1:"+port)), served)) //nolint:gosec // loopback, for the length of a test
}

func handler(ctx context.Context, roots string, key []byte) http.Handler {
	trees := memory.NewTreeStorage()
	env := must(integration.NewLogEnvWithRegistry(ctx, 1, extension.Registry{
		AdminStorage: memory.NewAdminStorage(trees),
		LogStorage:   memory.NewLogStorage(trees, monitoring.InertMetricFactory{}),
		QuotaManager: quota.Noop(),
	}))
	tree := must(client.CreateAndInitTree(ctx, &trillian.CreateTreeRequest{Tree: &trillian.Tree{
		TreeState: trillian.TreeState_ACTIVE, TreeType: trillian.TreeType_LOG, MaxRootDuration: durationpb.New(time.Hour),
	}}, env.Admin, env.Log))
	instance := must(ctfe.SetUpInstance(ctx, ctfe.InstanceOptions{
		Validated: must(ctfe.ValidateLogConfig(&configpb.LogConfig{
			LogId: tree.TreeId, Prefix: "test", RootsPemFile: []string{roots}, ExtKeyUsages: []string{"CodeSigning"},
			PrivateKey: must(anypb.New(&keyspb.PrivateKey{Der: key})),
		})),
		Client: env.Log, Deadline: 10 * time.Second, MetricFactory: monitoring.InertMetricFactory{}, RequestLog: new(ctfe.DefaultRequestLog),
	}))
	served := http.NewServeMux()
	for path, each := range instance.Handlers {
		served.Handle(path, each)
	}
	return served
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
