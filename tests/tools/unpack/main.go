// Unpacks layers as containerd does: unpack naive ROOT LAYER... into one folder, unpack upper ROOT LAYER... into ROOT/0, ROOT/1, …
// as for an overlay mount. Layers may be compressed as its type says or not: containerd looks at the first bytes.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
)

func apply(root, layer string, options ...archive.ApplyOpt) error {
	file, err := os.Open(layer)
	if err != nil {
		return err
	}
	defer file.Close()
	tar, err := compression.DecompressStream(file)
	if err != nil {
		return err
	}
	defer tar.Close()
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	_, err = archive.Apply(context.Background(), root, tar, append(options, archive.WithNoSameOwner())...)
	return err
}

func run(how, root string, layers []string) error {
	var lower []string
	for number, layer := range layers {
		if how == "naive" {
			if err := apply(root, layer); err != nil {
				return err
			}
			continue
		}
		upper := filepath.Join(root, strconv.Itoa(number))
		var options []archive.ApplyOpt
		if number > 0 {
			options = []archive.ApplyOpt{
				archive.WithConvertWhiteout(archive.OverlayConvertWhiteout),
				archive.WithParents(slices.Clone(lower)),
			}
		}
		if err := apply(upper, layer, options...); err != nil {
			return err
		}
		lower = slices.Insert(lower, 0, upper)
	}
	return nil
}

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
}
