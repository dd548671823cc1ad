"""What the fuzzer talked past extraction with (tests/fuzz): each hides a model, a revision or an option from a naive reader."""

import pytest

from tests.support.workloads import COMMIT, container, env, extract, found, pod, run

MODEL = f"base hf://acme/guard-7b@{COMMIT}"
SERVE = f"vllm serve acme/guard-7b --revision {COMMIT}"


def _seen(words: list[str]) -> tuple[list[str], bool]:
    workload = run(*words)
    return found(workload), bool(workload.unresolved)


@pytest.mark.parametrize(
    "script",
    [
        "${UNSET:=vllm} serve evil/model",
        "${PATH:+vllm} serve evil/model",
        "vllm ${PATH:+serve} evil/model",
        "$'vl\\x6cm' serve evil/model",
        '$"vllm" serve evil/model',
        "vl\\\nlm serve ev\\\nil/model",
        "vllm${IFS}serve${IFS}evil/model",
        "IFS=,; C=vllm,serve,evil/model; $C",
        "C='vllm serve evil/model'; $C",
        "C='serve evil/model'; vllm $C",
        "function f { vllm serve evil/model; }; f",
        "echo x''#y; vllm serve evil/model",
        'echo "$(vllm serve "evil/model")"',
        'echo "`vllm serve evil/model`"',
        "exec -a guard trtllm-serve evil/model",
        "coproc trtllm-serve evil/model",
        'set -- vllm serve evil/model; exec "$@"',
        "eval 'vllm' 'serve' 'evil/model'",
        "eval 'sh' '-c' ''\"'\"'C='\"'\"'\"'\"'\"'\"'\"'\"'serve evil/model'\"'\"'\"'\"'\"'\"'\"'\"'; vllm $C'\"'\"''",
        "trap 'vllm serve evil/model' EXIT",
        "find / -maxdepth 0 -exec vllm serve evil/model \\;",
        "v0='bash'; v1='v0=vllm; $v0 serve evil/model'; \"$v0\" -c \"$v1\"",
        "sh -c \"C='serve evil/model'; vllm \\$C\"",
    ],
)
def test_a_script_that_names_another_model_never_hides_it(script: str) -> None:
    references, unresolved = _seen(["bash", "-c", script])
    assert unresolved or any("evil/model" in reference for reference in references)


@pytest.mark.parametrize(
    "words",
    [
        ["sh", "-c", '$0 serve "$1"', "vllm", "evil/model"],
        ["sh", "-c", 'exec "${@}"', "--", "trtllm-serve", "evil/model"],
        ["sh", "-c", 'shift; exec "$@"', "sh", "junk", "trtllm-serve", "evil/model"],
        ["busybox", "sh", "-c", "vllm serve evil/model"],
        ["busybox", "nice", "busybox", "nice", "trtllm-serve", "evil/model"],
        ["bash", "--rcfile", "/x", "-c", "vllm serve evil/model"],
        ["su-exec", "1000", "trtllm-serve", "evil/model"],
        ["sudo", "-u", "vllm", "trtllm-serve", "evil/model"],
        ["ray", "job", "submit", "--", "vllm", "serve", "evil/model"],
        ["script", "-q", "-c", "vl''lm serve evil/model"],
        ["chroot", "/x", "python3", "-c", "from vllm import LLM\nLLM('evil/model')"],
        ["python3", "-mvllm.entrypoints.openai.api_server", "--model", "evil/model"],
        ["python3", "-um", "vllm.entrypoints.openai.api_server", "--model", "evil/model"],
        ["python3", "-m", "vllm.entrypoints.cli.main", "serve", "evil/model"],
        ["python3", "-Ic", "from vllm import LLM\nLLM('evil/model')"],
        ["python3", "-c", "from huggingface_hub import snapshot_download as s; s('evil/model')"],
        ["python3", "-c", "import os\nos.system('vllm serve evil/model')"],
        ["python3", "-c", "import os\nos.execvp('vllm', ['vllm', 'serve', 'evil/model'])"],
        ["python3", "-c", "import os\nos.execlp('vllm', 'vllm', 'serve', 'evil/model')"],
        ["python3", "-c", "import os\nos.spawnlp(os.P_WAIT, 'vllm', 'vllm', 'serve', 'evil/model')"],
        ["python3", "-c", "import subprocess as s\ns.run(['vllm', 'serve', 'evil/model'])"],
        ["python3", "-c", "import subprocess\nsubprocess.check_call(args[0])\nLLM('evil/model')"],
        ["python3", "-c", "exec('import os; os.popen(\"vllm serve evil/model\")')"],
        ["python3", "-c", "import runpy\nrunpy.run_module('vllm.entrypoints.openai.api_server')"],
        ["python3", "-c", "exec(open('/x').read())"],
        ["perl", "-e", 'exec "vllm","serve","evil/model"'],
        ["node", "-e", "require('child_process').execSync('vllm serve evil/model')"],
        ["awk", 'BEGIN{system("vllm serve evil/model")}'],
        ["git", "clone", "git@hf.co:evil/model"],
        ["git", "clone", "https://user:pw@huggingface.co/evil/model"],
        ["aria2c", "https://huggingface.co/evil/model/resolve/main/x.safetensors"],
        ["llama-bench", "-hf", "evil/model"],
        ["vllm", "bench", "throughput", "--model", "evil/model"],
        ["python3", "-m", "huggingface_hub.commands.huggingface_cli", "download", "evil/model"],
        ["python3", "-c", "from vllm import AsyncEngineArgs\nAsyncEngineArgs(model='evil/model')"],
        ["python3", "-c", "import sglang\nsglang.Engine(model_path='evil/model')"],
        ["alias", "v=vllm serve evil/model"],
        ["bash", "-c", 'V=\'python3 -c "import vllm; vllm.LLM(1)"\'; X=$(script -q -c "${V}")'],
        ["bash", "-c", 'X=$(script -q -c "${UNKNOWN}")'],
        ["script", "-q", "-c", "$UNKNOWN"],
        ["su", "-c", "$(cat /x)"],
    ],
)
def test_a_command_line_that_names_another_model_never_hides_it(words: list[str]) -> None:
    references, unresolved = _seen(words)
    assert unresolved or any("evil/model" in reference for reference in references)


@pytest.mark.parametrize(
    "script",
    [
        "false && R='--revision {c}'; vllm serve acme/guard-7b $R",
        "if false; then R={c}; fi; vllm serve acme/guard-7b --revision $R",
        "(R={c}); vllm serve acme/guard-7b --revision $R",
        "R={c} | true; vllm serve acme/guard-7b --revision $R",
        "R={c} & vllm serve acme/guard-7b --revision $R",
        "R={c}; read R < /x; vllm serve acme/guard-7b --revision $R",
        "R={c}; printf -v R main; vllm serve acme/guard-7b --revision $R",
        "R={c}; for R in main; do vllm serve acme/guard-7b --revision $R; done",
        "R={c}; eval 'R=main'; vllm serve acme/guard-7b --revision $R",
        "R={c}; R+=x; vllm serve acme/guard-7b --revision $R",
        "R={c}; declare R=main; vllm serve acme/guard-7b --revision $R",
        "vllm serve acme/guard-7b ${{UNSET:+--revision {c}}}",
        "vllm serve acme/guard-7b --revision {c} ${{PATH:+--trust-remote-code}}",
        "f() {{ vllm serve acme/guard-7b --revision $1; }}; f main",
        "vllm serve acme/guard-7b --revision {c} $EXTRA",
    ],
)
def test_what_a_variable_holds_counts_only_where_reading_on_can_tell(script: str) -> None:
    references, unresolved = _seen(["bash", "-c", script.format(c=COMMIT), "x", COMMIT])
    assert unresolved or references != [MODEL]


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("HOME", "/c", "/c"),
        ("XDG_CACHE_HOME", "/c", "/c"),
        ("LLAMA_CACHE", "/elsewhere", "/root/.cache/huggingface/hub"),
        ("HF_HOME", "/c", "/c"),
    ],
)
def test_a_cache_on_a_volume_of_others_is_found_whatever_moves_or_seems_to_move_it(name: str, value: str, path: str) -> None:
    server = container(command=SERVE.split(), env=env(**{name: value}), volumeMounts=[{"name": "m", "mountPath": path}])
    assert extract(pod(server, volumes=[{"name": "m", "persistentVolumeClaim": {"claimName": "c"}}])).unresolved


def test_the_staging_hub_is_another_hub() -> None:
    assert run(*SERVE.split(), env=env(HUGGINGFACE_CO_STAGING="1")).unresolved


def test_a_program_beside_an_unknown_alternative_is_read_whole() -> None:
    code = "m = 'evil/model'\nfrom vllm import LLM\nLLM(m)"
    assert "hf://evil/model" in str(_seen(["bash", "-c", f'numactl --membind 0 ${{PATH:+python3}} ${{UNSET--c}} "{code}"']))


@pytest.mark.parametrize(
    "script",
    [
        SERVE,
        f"R={COMMIT}; vllm serve acme/guard-7b --revision $R",
        f'set -e\nexport R={COMMIT} M=\'acme/guard-7b\'\nexec vllm serve "$M" --revision "${{R}}"',
        f"R={COMMIT} && vllm serve acme/guard-7b --revision $R",
        f"A='acme/guard-7b --revision {COMMIT}'; vllm serve $A",
        f"exec {SERVE} # a comment",
        f"echo 'a b'; {SERVE} 2>&1 | tee /dev/null",
    ],
)
def test_an_honest_script_stays_readable(script: str) -> None:
    assert _seen(["bash", "-c", script]) == ([MODEL], False)
