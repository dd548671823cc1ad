// Command load asks a webhook on loopback as an API server would: HTTP/1.1 over TLS, 25 idle connections, no session tickets,
// a POST with a body read before. Open loop: arrivals are Poisson at a fixed rate, and a latency counts from the scheduled time, so
// that a stall is not hidden. Closed loop: so many loops without a pause, for CPU per request. It stops by itself.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type result struct {
	Requests    int     `json:"requests"`
	Errors      int64   `json:"errors"`
	Allowed     int64   `json:"allowed"`
	Connections int64   `json:"connections"`
	Seconds     float64 `json:"seconds"`
	P50         float64 `json:"p50"`
	P95         float64 `json:"p95"`
	P99         float64 `json:"p99"`
	P999        float64 `json:"p999"`
	Max         float64 `json:"max"`
}

type client struct {
	http                         *http.Client
	url                          string
	bodies                       [][]byte
	errors, connections, allowed atomic.Int64
}

func main() {
	url := flag.String("url", "", "https://127.0.0.1:…/validate")
	ca := flag.String("ca", "", "PEM")
	files := flag.String("bodies", "", "comma separated files, asked in turn")
	rate := flag.Float64("rate", 0, "requests a second, open loop; 0: closed loop")
	loops := flag.Int("loops", 16, "closed loop: how many at once")
	seconds := flag.Float64("seconds", 5, "how long; at most 600")
	flag.Parse()
	if !strings.HasPrefix(*url, "https://127.0.0.1:") || *seconds > 600 {
		log.Fatal("expected a URL on loopback and at most 600 seconds")
	}
	c := &client{url: *url, http: transport(*ca)}
	for _, name := range strings.Split(*files, ",") {
		body, err := os.ReadFile(name)
		if err != nil {
			log.Fatal(err)
		}
		c.bodies = append(c.bodies, body)
	}
	started := time.Now()
	var latencies []time.Duration
	if *rate > 0 {
		latencies = c.open(*rate, time.Duration(*seconds*float64(time.Second)))
	} else {
		latencies = c.closed(*loops, time.Duration(*seconds*float64(time.Second)))
	}
	_ = json.NewEncoder(os.Stdout).Encode(c.summary(latencies, time.Since(started)))
}

func transport(ca string) *http.Client {
	pem, err := os.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool, SessionTicketsDisabled: true},
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 only
		MaxIdleConnsPerHost: 25,
		IdleConnTimeout:     90 * time.Second,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}}
}

func (c *client) ask(number int) {
	request, _ := http.NewRequest(http.MethodPost, c.url, bytes.NewReader(c.bodies[number%len(c.bodies)]))
	request.Header.Set("Content-Type", "application/json")
	trace := &httptrace.ClientTrace{ConnectDone: func(string, string, error) { c.connections.Add(1) }}
	response, err := c.http.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err != nil {
		c.errors.Add(1)
		return
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK {
		c.errors.Add(1)
		return
	}
	if bytes.Contains(body, []byte(`"allowed":true`)) {
		c.allowed.Add(1)
	}
}

func (c *client) open(rate float64, length time.Duration) []time.Duration {
	var lock sync.Mutex
	var waiting sync.WaitGroup
	var latencies []time.Duration
	begin := time.Now()
	for number, due := 0, time.Duration(0); due < length; number++ {
		time.Sleep(time.Until(begin.Add(due)))
		waiting.Add(1)
		go func(number int, due time.Duration) {
			defer waiting.Done()
			c.ask(number)
			taken := time.Since(begin.Add(due))
			lock.Lock()
			latencies = append(latencies, taken)
			lock.Unlock()
		}(number, due)
		due += time.Duration(rand.ExpFloat64() / rate * float64(time.Second))
	}
	waiting.Wait()
	return latencies
}

func (c *client) closed(loops int, length time.Duration) []time.Duration {
	var lock sync.Mutex
	var waiting sync.WaitGroup
	var latencies []time.Duration
	end := time.Now().Add(length)
	for loop := range loops {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			var own []time.Duration
			for number := loop; time.Now().Before(end); number++ {
				started := time.Now()
				c.ask(number)
				own = append(own, time.Since(started))
			}
			lock.Lock()
			latencies = append(latencies, own...)
			lock.Unlock()
		}()
	}
	waiting.Wait()
	return latencies
}

func (c *client) summary(latencies []time.Duration, taken time.Duration) result {
	slices.Sort(latencies)
	at := func(share float64) float64 {
		if len(latencies) == 0 {
			return 0
		}
		return latencies[min(len(latencies)-1, int(share*float64(len(latencies))))].Seconds() * 1000
	}
	return result{
		len(latencies), c.errors.Load(), c.allowed.Load(), c.connections.Load(), taken.Seconds(),
		at(.5), at(.95), at(.99), at(.999), at(1),
	}
}
