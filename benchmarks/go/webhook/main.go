// Command webhook is what the benchmarks compare with: a webhook of Go's standard library that makes the same decision about
// the bodies that are measured, hand-written for them. It reads the review with the object kept raw, the object into typed
// structs, takes the references out of the vLLM command line or the storage URI, looks each up in a map and asks the same
// requirements: pinned, allowed source, trusted signer, safetensors only. Built with GOEXPERIMENT=jsonv2, Go's faster engine.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
)

type review struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Request    request `json:"request"`
}

type request struct {
	UID       string          `json:"uid"`
	Kind      groupKind       `json:"kind"`
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Operation string          `json:"operation"`
	DryRun    *bool           `json:"dryRun"`
	Object    json.RawMessage `json:"object"`
	OldObject json.RawMessage `json:"oldObject"`
}

type groupKind struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

type response struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Response   answer `json:"response"`
}

type answer struct {
	UID     string  `json:"uid"`
	Allowed bool    `json:"allowed"`
	Status  *status `json:"status,omitempty"`
}

type status struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

type env struct {
	Name      string          `json:"name"`
	Value     string          `json:"value"`
	ValueFrom json.RawMessage `json:"valueFrom"`
}

type container struct {
	Name    string   `json:"name"`
	Image   string   `json:"image"`
	Command []string `json:"command"`
	Args    []string `json:"args"`
	Env     []env    `json:"env"`
	EnvFrom []any    `json:"envFrom"`
}

type volume struct {
	Name  string `json:"name"`
	Image *struct {
		Reference string `json:"reference"`
	} `json:"image"`
}

type podSpec struct {
	Containers     []container `json:"containers"`
	InitContainers []container `json:"initContainers"`
	Volumes        []volume    `json:"volumes"`
}

type deployment struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Template struct {
			Spec podSpec `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type metadata struct {
	Name        string            `json:"name"`
	Annotations map[string]string `json:"annotations"`
	Labels      map[string]string `json:"labels"`
}

type inferenceService struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Predictor struct {
			Model *struct {
				container
				StorageURI string `json:"storageUri"`
			} `json:"model"`
			podSpec
		} `json:"predictor"`
	} `json:"spec"`
}

// statement is what the index holds about one identity.
type statement struct {
	Key         string   `json:"key"`
	Fingerprint string   `json:"fingerprint"`
	Formats     []string `json:"formats"`
	Expires     int64    `json:"expires"`
}

type reference struct {
	name, revision, where string
}

var pinned = regexp.MustCompile(`^([0-9a-f]{40}|sha256:[0-9a-f]{64})$`)

type server struct {
	index       map[string]statement
	fingerprint string
	sources     []*regexp.Regexp
	log         *json.Encoder
}

func (s *server) validate(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 24<<20))
	if err != nil {
		http.Error(w, "cannot read", http.StatusBadRequest)
		return
	}
	var in review
	if err := json.Unmarshal(body, &in); err != nil || in.Request.UID == "" {
		http.Error(w, "cannot decode", http.StatusBadRequest)
		return
	}
	problems := s.judge(&in.Request)
	out := response{"admission.k8s.io/v1", "AdmissionReview", answer{UID: in.Request.UID, Allowed: len(problems) == 0}}
	if len(problems) > 0 {
		out.Response.Status = &status{http.StatusForbidden, strings.Join(problems, "\n")}
	}
	w.Header().Set("Content-Type", "application/json")
	data, _ := json.Marshal(out)
	_, _ = w.Write(data)
	_ = s.log.Encode(map[string]any{
		"uid": in.Request.UID, "kind": in.Request.Kind.Kind, "namespace": in.Request.Namespace, "name": in.Request.Name,
		"allowed": out.Response.Allowed, "seconds": time.Since(started).Seconds(),
	})
}

func (s *server) judge(in *request) []string {
	references, err := extract(in)
	if err != nil {
		return []string{err.Error()}
	}
	if len(references) == 0 {
		return []string{"[UnresolvedReference] no model can be named"}
	}
	var problems []string
	for _, found := range references {
		if problem := s.check(found); problem != "" {
			problems = append(problems, problem)
		}
	}
	return problems
}

func (s *server) check(found reference) string {
	name := found.name
	if !pinned.MatchString(found.revision) {
		return fmt.Sprintf("[UnpinnedReference] %s at %s names %q; expected a 40-hex commit", name, found.where, found.revision)
	}
	allowed := false
	for _, source := range s.sources {
		allowed = allowed || source.MatchString(name)
	}
	if !allowed {
		return fmt.Sprintf("[SourceNotAllowed] %s at %s", name, found.where)
	}
	known, ok := s.index[name+"@"+found.revision]
	if !ok {
		return fmt.Sprintf("[AttestationPending] %s@%s at %s", name, found.revision, found.where)
	}
	if known.Expires < time.Now().Unix() {
		return fmt.Sprintf("[AttestationExpired] %s", name)
	}
	if known.Fingerprint != s.fingerprint {
		return fmt.Sprintf("[SignerNotTrusted] %s", name)
	}
	for _, format := range known.Formats {
		if format != "Safetensors" {
			return fmt.Sprintf("[FormatNotAllowed] %s holds %s", name, format)
		}
	}
	return ""
}

func extract(in *request) ([]reference, error) {
	switch in.Kind.Kind {
	case "Deployment":
		var object deployment
		if err := json.Unmarshal(in.Object, &object); err != nil {
			return nil, err
		}
		return fromPod(&object.Spec.Template.Spec, "spec.template.spec")
	case "InferenceService":
		var object, old inferenceService
		if err := json.Unmarshal(in.Object, &object); err != nil {
			return nil, err
		}
		if len(in.OldObject) > 0 && string(in.OldObject) != "null" {
			if err := json.Unmarshal(in.OldObject, &old); err != nil {
				return nil, err
			}
		}
		model := object.Spec.Predictor.Model
		if model == nil {
			return fromPod(&object.Spec.Predictor.podSpec, "spec.predictor")
		}
		path, revision, _ := strings.Cut(strings.TrimPrefix(model.StorageURI, "hf://"), ":")
		return []reference{{"hf://" + path, revision, "spec.predictor.model.storageUri"}}, nil
	}
	return nil, fmt.Errorf("[UnresolvedReference] kind %s", in.Kind.Kind)
}

func fromPod(pod *podSpec, where string) ([]reference, error) {
	var found []reference
	seen := map[reference]bool{}
	add := func(name, revision, where string) {
		key := reference{name, revision, ""}
		if !seen[key] {
			seen[key] = true
			found = append(found, reference{name, revision, where})
		}
	}
	for list, containers := range [][]container{pod.InitContainers, pod.Containers} {
		for index, c := range containers {
			model, revision, err := fromContainer(&c)
			if err != nil {
				return nil, err
			}
			if model != "" {
				add("hf://"+model, revision, fmt.Sprintf("%s[%d][%d]", where, list, index))
			}
		}
	}
	for index, v := range pod.Volumes {
		if v.Image != nil {
			name, digest, _ := strings.Cut(v.Image.Reference, "@")
			add("oci://"+name, digest, fmt.Sprintf("%s.volumes[%d]", where, index))
		}
	}
	return found, nil
}

func fromContainer(c *container) (model, revision string, err error) {
	words := append(append([]string{}, c.Command...), c.Args...)
	variables := map[string]string{}
	for _, variable := range c.Env {
		variables[variable.Name] = expand(variable.Value, variables)
	}
	if endpoint, set := variables["HF_ENDPOINT"]; set && endpoint != "https://huggingface.co" {
		return "", "", fmt.Errorf("[SourceNotAllowed] HF_ENDPOINT %s", endpoint)
	}
	if len(words) == 3 && (words[0] == "sh" || words[0] == "bash") && words[1] == "-c" {
		words = strings.Fields(words[2])
	}
	for i := 0; i < len(words); i++ {
		flagName, value, inline := strings.Cut(expand(words[i], variables), "=")
		if !inline && i+1 < len(words) {
			value = expand(words[i+1], variables)
		}
		switch flagName {
		case "serve", "--model", "download":
			model = value
		case "--revision":
			revision = value
		case "--trust-remote-code":
			return "", "", fmt.Errorf("[RemoteCode] %s", c.Name)
		}
	}
	return model, revision, nil
}

func expand(text string, variables map[string]string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	for name, value := range variables {
		text = strings.ReplaceAll(text, "$("+name+")", value)
	}
	return text
}

func main() {
	index := flag.String("index", "", "JSON lines: one statement each")
	fingerprint := flag.String("fingerprint", "", "of the trusted signer")
	certificate := flag.String("tls-cert", "", "PEM")
	key := flag.String("tls-key", "", "PEM")
	logFile := flag.String("log", os.DevNull, "decisions, JSON lines")
	flag.Parse()
	s := &server{index: map[string]statement{}, fingerprint: *fingerprint}
	s.sources = []*regexp.Regexp{regexp.MustCompile(`^hf://acme/[^/@]*$`), regexp.MustCompile(`^oci://registry\.acme\.example/[^@]*$`)}
	out, err := os.Create(*logFile)
	if err != nil {
		log.Fatal(err)
	}
	s.log = json.NewEncoder(out)
	if *index != "" {
		if err := s.load(*index); err != nil {
			log.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /validate", s.validate)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal((&http.Server{Handler: mux, IdleTimeout: 120 * time.Second}).ServeTLS(listener, *certificate, *key))
}

func (s *server) load(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var known statement
		if err := json.Unmarshal(lines.Bytes(), &known); err != nil {
			return err
		}
		s.index[known.Key] = known
	}
	return lines.Err()
}
