module modeltrust.dev/benchmarks

go 1.25.0
