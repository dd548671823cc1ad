"""Where substitutions and here-documents end: as a shell reads them, so that nothing is hidden behind an early end."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.references.substitutions import body_end, closing, tag_at
from tests.support.workloads import found, reasons, shell

EVIL = "vllm serve a/b"
GOOD = "vllm serve c/d &\n"  # a program that is recognised: nothing is guessed from the rest

CLOSED = [
    "echo a",
    "case x in x) a ;; esac",
    "case x in (x) a ;; y) b;; esac",
    "case $(echo in) in *) x;; esac; (a)",
    "case in in in) echo;; esac",
    "case x in esac",
    'case "a)" in "a)") x;; esac',
    "case x in x) case y in y) a;; esac;; z) b;; esac",
    "a;case x in x) b;& y) c;; esac",
    "case x in\n\n # c)\n x) a\n;;\nesac\n",
    "if true; then case a in a) b;; esac; fi",
    "f() { case a in a) b;; esac; }; f",
    "echo case",
    "x=1 case",
    "a=(case) ; b",
    "a=(b) case",
    'echo ")"',
    "echo ')'",
    "echo $')'",
    "echo \\)",
    'echo "$(echo ")")"',
    'echo "`echo ")"`"',
    "echo `echo ')'`",
    "# )\necho",
    "echo a#b",
    "echo ${#x} ",
    "${x%)*}",
    '${x:-")"}',
    "echo {a,",
    "cat <<EOF\n)\nEOF\nx",
    'cat <<"E F"\n)\nE F\n',
    "cat <<-\\E\n'\n\tE\n",
    "cat <<<')'",
    "(1+2)*3",
    "(1<<x)",
    "((a);(b))",
    "(a); b",
]


@pytest.mark.parametrize("program", CLOSED)
def test_a_substitution_ends_where_a_shell_ends_it(program: str) -> None:
    assert closing(f"{program}) rest ) esac", 0) == len(program)


@pytest.mark.parametrize("program", ["", "echo", "case x in x) a", "echo '", 'echo "', "(", "((", "${", "cat <<E\n)\nE\n", "`"])
def test_an_open_substitution_never_ends(program: str) -> None:
    assert closing(program, 0) == -1


@pytest.mark.parametrize("program", [each for each in CLOSED if "(1" not in each and "{a," not in each])
def test_bash_agrees(program: str) -> None:
    script = f"x=$({program}\n)"  # -n: parsed, not run
    if "\n" not in program or "#" not in program:
        script = f"x=$({program})"
    done = subprocess.run(["/bin/bash", "-n", "-c", script], capture_output=True, check=False, timeout=5)
    assert (done.returncode, done.stderr) == (0, b"")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="()'\"`\\$#{} \n;acse<E=", max_size=60))
def test_every_text_is_read_to_an_index_inside(text: str) -> None:
    end = closing(text, 0)
    assert end == -1 or text[end] == ")"


@pytest.mark.parametrize(
    ("text", "tag", "rest"),
    [
        ("EOF\n", "EOF", "\n"),
        ("'E F' x", "E F", " x"),
        ('E"O"F;', "EOF", ";"),
        ("\\EOF\n", "EOF", "\n"),
        ("E-F\n", "E-F", "\n"),
        ("", "", ""),
        (" \n", "", " \n"),
        ("&1", "", "&1"),
    ],
)
def test_a_tag_is_read_as_a_shell_reads_it(text: str, tag: str, rest: str) -> None:
    read, end = tag_at(text, 0)
    assert (read, text[end:]) == (tag, rest)


def test_a_body_ends_at_its_tag_alone() -> None:
    assert body_end("a\nE\nb", 0, "E") == (2, 4)
    assert body_end("E", 0, "E") == (0, 1)
    assert body_end("EE\nb", 0, "E") is None


@pytest.mark.parametrize(
    "script",
    [
        f"echo $(case x in x) {EVIL} ;; esac)",
        f'echo "$(case x in x) {EVIL} ;; esac)"',
        f'X="$(case x in x) {EVIL} ;; esac)"; echo $X',
        f'echo "$(echo \\) ; {EVIL})"',
        f"echo \"$(echo ')' ; {EVIL})\"",
        f'echo "$(: # )\n{EVIL})"',
        f'echo "$(: ${{x%)*}} ; {EVIL})"',
        f'echo "$(cat <<EOF\n)\nEOF\n{EVIL})"',
        f"echo $((1<<x\n$({EVIL})\nx\n))",
        f"echo `echo \\`{EVIL}\\``",
        f'echo "`echo \\`{EVIL}\\``"',
        f"echo ${{x:-$({EVIL})}}",
        f"echo ${{x:-`{EVIL}`}}",
        f"cat <<EOF\n$({EVIL})\nEOF\n",
        f"cat <<EOF\n`{EVIL}`\nEOF\n",
        f"cat <<A <<B\nx\nA\n$({EVIL})\nB\n",
        f"cat <<E-F\nx\nE-F\n{EVIL}",
        f'cat <<E"O"F\nx\nEOF\n{EVIL}',
        f"cat <<'E F'\nx\nE F\n{EVIL}",
        f"((y=1<<x))\n{EVIL}\nx",
        f"echo $[1<<x]\n{EVIL}\nx]",
        f"a[1<<x]=5\n{EVIL}\nx]=5",
        f'bash -c "true $(echo ")"); {EVIL}"',
        "chrt -f 10 ${PATH:+script} -q -c '$'\"'\"'vllm'\"'\"' ${UNSET:-serve} \\a/b'",
        f'sh -c "${{PATH:+{EVIL}}}"',
        "${PATH:+vllm} ${PATH:+serve} ${PATH:+a/b}",
        f"bash <<< '{EVIL}'",
        f'bash <<< "{EVIL}"',
        f"bash /dev/fd/3 3<<<'{EVIL}'",
        f"source /dev/stdin <<< '{EVIL}'",
    ],
)
def test_nothing_hides_behind_an_early_end(script: str) -> None:
    assert "base hf://a/b" in found(shell(GOOD + script))


@pytest.mark.parametrize(
    "script",
    [
        f". <(echo {EVIL})",
        f"source <(echo {EVIL})",
        f"bash <(echo {EVIL})",
        f"bash < <(echo {EVIL})",
        f"echo '{EVIL}' | bash -s -- x",
        f"echo '{EVIL}' | bash -s x",
        f"echo '{EVIL}' | bash /dev/stdin",
        f"echo '{EVIL}' | sh --",
        f"echo {EVIL} | xargs env",
        f"echo '\"{EVIL}\"' | xargs sh -c",
        "echo 'import os' | python3 -",
        "echo 'import os' | python3 -u",
    ],
)
def test_a_program_that_is_read_from_a_pipe_is_a_finding(script: str) -> None:
    assert "UnresolvedReference" in reasons(shell(script))


@pytest.mark.parametrize(
    "script",
    [
        "source /etc/profile; . /venv/bin/activate",
        "diff <(ls a) <(ls b)",
        "ls | xargs rm -f",
        "sh /x.sh",
        'cat <<EOF > /x\n{ "a": "$HOME", "b": "$(hostname)" }\nEOF\n',
        "cat <<\\EOF\n$(vllm serve a/b)\nEOF\n",
        'N="$(nproc)"; echo ${N:-3} $((N+1)) "$(case $N in 3) echo a;; *) echo b;; esac)"',
        "echo '{}' | python3 -m json.tool",
        "echo '{}' | python3 -c 'import sys, json; json.load(sys.stdin)'",
        "cat /x | bash /y.sh",
    ],
)
def test_what_runs_nothing_of_models_is_no_finding(script: str) -> None:
    workload = shell(script)
    assert (found(workload), reasons(workload)) == ([], [])
