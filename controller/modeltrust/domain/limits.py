"""Every bound in modeltrust: a name, its unit in the name or the comment, and the reason beside it.

Nothing else in the code states a bound (design/architecture.md, idea 7). Steps and bytes rather than wall clock, because a Python
deadline cannot interrupt pure Python.
"""

# --- documents ---------------------------------------------------------------------------------------------------------------
JSON_DEPTH = 64  # levels; the deepest real Kubernetes object or model config measured is below 30
MANIFEST_BYTES = 32 * 1024 * 1024  # a YAML or JSON manifest file read by the command line
MANIFEST_DOCUMENTS = 10_000  # documents in one manifest file
YAML_NODES = 1_000_000  # nodes after anchors are expanded: bounds the "billion laughs"

# --- references --------------------------------------------------------------------------------------------------------------
REFERENCE_CHARACTERS = 1024  # longer strings are refused, not truncated
GLOB_CHARACTERS = 512
GLOB_STARS = 8  # wildcards in one pattern; with at most two in a component, matching stays near linear

# --- extraction (design/admission.md: the worst accepted input is answered within 50 ms) --------------------------------------
EXTRACT_STEPS = 60_000  # visited values, words and rows in one object
EXTRACT_REFERENCES = 256  # references in one object
EXTRACT_FINDINGS = 64  # unresolved findings in one object; the next one becomes LimitExceeded
CONTAINERS = 128  # containers in one Pod spec
ENVIRONMENT_ENTRIES = 2_000  # env entries in one container
ENVIRONMENT_BYTES = 256 * 1024  # after $(VAR) expansion: 2 kB of env can expand to 1e14 bytes (attack H11)
ARGUMENT_WORDS = 4_096  # words of command and args in one container
SCRIPT_BYTES = 64 * 1024  # a shell or Python program in an argument
SCRIPT_WORDS = 8_192
SCRIPT_DEPTH = 6  # sh -c inside sh -c
EMBEDDED_BYTES = 256 * 1024  # a YAML or JSON document inside a string field
PATH_MATCHES = 2_048  # values that one JSONPath row may match

# --- content and listings ----------------------------------------------------------------------------------------------------
FILES = 20_000  # files in one model: the largest real repositories have a few thousand
PATH_CHARACTERS = 1_024  # length of one path in a model
PATH_PARTS = 32

# --- formats (facts/formats.md) ----------------------------------------------------------------------------------------------
SAFETENSORS_HEADER_BYTES = 25_000_000  # as huggingface_hub; 97 % of the top-1000 repositories are below 100 kB
SAFETENSORS_HEADER_WARNING_BYTES = 10_000_000
SAFETENSORS_TENSORS = 1_000_000
SAFETENSORS_METADATA_BYTES = 10_000_000
SAFETENSORS_TAIL_BYTES = 65_557  # zip: 22 bytes of end record, 65,535 of comment
SIDECAR_BYTES = 1_048_576  # JSON beside the weights, tokenizer.json excepted
TOKENIZER_BYTES = 64 * 1024 * 1024  # tokenizer.json; the largest in use is about 35 MB
TEMPLATE_BYTES = 256 * 1024  # one chat template; the largest real one measured is 16,738 bytes
TEMPLATE_NODES = 50_000
FINDINGS_PER_MODEL = 200  # findings kept in a report; the rest is counted

# --- signing (facts/signing.md) ----------------------------------------------------------------------------------------------
BUNDLE_BYTES = 8 * 1024 * 1024  # a 5,000-file OMS bundle is about 1.3 MB
BUNDLES_PER_MODEL = 16
MANIFEST_RESOURCES = 20_000
CERTIFICATES_IN_CHAIN = 8

# --- attestation -------------------------------------------------------------------------------------------------------------
STATEMENT_BYTES = 256 * 1024  # an envelope; etcd's object limit is 1.5 MiB
STATEMENT_SECONDS = 7 * 24 * 3600  # life of a statement, renewed daily
CLOCK_SKEW_SECONDS = 300  # how far in the future issuedAt may lie
SIGNATURES_PER_STATEMENT = 16
EVALUATIONS_PER_STATEMENT = 64
WEIGHT_DIGESTS_PER_STATEMENT = 2_048
EXEMPTION_SECONDS = 90 * 24 * 3600  # longest exemption, counted from its creation

# --- sources -----------------------------------------------------------------------------------------------------------------
OCI_MANIFEST_BYTES = 4 * 1024 * 1024  # the distribution specification's own limit
OCI_REFERRERS = 64
OCI_TOKEN_BYTES = 64 * 1024
HTTP_TIMEOUT_SECONDS = 30
HTTP_RETRIES = 3
HASH_CHUNK_BYTES = 256 * 1024  # stays in the second-level cache: 1.11 x openssl, where 1 MiB reaches 1.08 (facts/signing.md section 9)
HASH_WORKERS = 4  # threads over files; more only thrash a disk

# --- admission ---------------------------------------------------------------------------------------------------------------
REVIEW_BYTES = 24 * 1024 * 1024  # JSON escaping inflates a legal 1.4 MB object to 17 MB (attack H10)
CREATE_OBJECT_BYTES = REVIEW_BYTES // 2  # so that an object admitted at CREATE still fits, twice, into its UPDATE
DENIAL_BYTES = 1_024
DENIAL_PROBLEMS = 10
WARNING_CHARACTERS = 120
WARNINGS = 8
QUOTED_CHARACTERS = 120  # a foreign value inside a message
ANSWER_MARGIN_SECONDS = 0.5  # answer this long before the API server's own timeout
ANSWER_SECONDS = 2.0
STALE_SECONDS = {"signers": 120, "revocations": 120}  # then: not ready
STALE_SECONDS_DEFAULT = 900
