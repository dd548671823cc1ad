"""Ways to write the same command line; each keeps what runs, and none may change the verdict of an evil launch.

Numbers in brackets are the hiding places of facts/workloads.md section 9.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz.launches import Launch
from tests.fuzz.wrappers import WRAPPERS

_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_PLAIN_SPLIT = re.compile(r"[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Disguise:
    """One rewriting.

    Attributes:
        name: in reports, and in ``Launch.flaws`` where it would change the meaning.
        stage: disguises are applied in rising order: 0 words, 2 wrappers, 3 shells, 4 kubelet variables.
        fits: whether it can be applied.
        apply: rewrites in place.
    """

    name: str
    stage: int
    fits: Callable[[Launch], bool]
    apply: Callable[[random.Random, Launch], None]


def _has_value(launch: Launch) -> bool:
    return launch.engine == "vllm" and any(_takes_value(launch.words, index) for index in range(len(launch.words)))


def _takes_value(words: list[str], index: int) -> bool:
    word, following = words[index], words[index + 1 : index + 2]
    return word.startswith("--") and "=" not in word and bool(following) and not following[0].startswith("-")


def _equals(_: random.Random, launch: Launch) -> None:
    words, out, index = launch.words, [], 0
    while index < len(words):
        several = words[index] in {"--lora-modules", "--lora_modules", "--prompt-adapters"}
        if _takes_value(words, index) and words[index] != "--config" and not several:
            out.append(f"{words[index]}={words[index + 1]}")
            index += 2
        else:
            out.append(words[index])
            index += 1
    launch.words = out


def _underscores(_: random.Random, launch: Launch) -> None:
    launch.words = [
        f"--{name.replace('-', '_')}{rest}" if word.startswith("--") else word
        for word in launch.words
        for name, rest in [_split_option(word[2:])]
    ]


def _split_option(word: str) -> tuple[str, str]:
    end = min((place for place in (word.find("="), word.find(".")) if place >= 0), default=len(word))
    return word[:end], word[end:]


_ABBREVIATED = {
    "--revision": "--revisio",
    "--trust-remote-code": "--trust-rem",
    "--tokenizer-revision": "--tokenizer-rev",
    "--lora-modules": "--lora-mod",
    "--speculative-config": "--speculative-c",
    "--hf-config-path": "--hf-config-pa",
    "--load-format": "--load-f",
    "--model-loader-extra-config": "--model-loader-e",
    "--enable-lora": "--enable-lor",
}


def _abbreviations(_: random.Random, launch: Launch) -> None:
    launch.words = [
        f"{_ABBREVIATED.get(name, name)}{equals}{value}" if word.startswith("--") else word
        for word in launch.words
        for name, equals, value in [word.partition("=")]
    ]


def _full_path(rng: random.Random, launch: Launch) -> None:
    launch.words[0] = rng.choice(["/usr/local/bin/", "/opt/venv/bin/", "./", "/../bin/"]) + launch.words[0]


def _as_module(rng: random.Random, launch: Launch) -> None:
    words = launch.words
    rest = words[2:] if words[2].startswith("-") else ["--model", *words[2:]]
    start = rng.choice(
        [
            ["python3", "-m", "vllm.entrypoints.openai.api_server"],
            ["python3.12", "-u", "-m", "vllm.entrypoints.openai.api_server"],
            ["/usr/bin/python3", "-O", "-W", "ignore", "-m", "vllm.entrypoints.openai.api_server"],
            ["python", "-mvllm.entrypoints.openai.api_server"],
            ["python3", "-um", "vllm.entrypoints.openai.api_server"],
            ["python3", "-I", "-m", "vllm.entrypoints.cli.main", "serve"],
            ["python3", "-X", "utf8", "-m", "vllm.entrypoints.openai.api_server"],
        ]
    )
    launch.words = [*start, *rest]


def _harmless_options(rng: random.Random, launch: Launch) -> None:
    options = [
        ["--port", "8000"],
        ["--max-model-len=4096"],
        ["--enforce-eager"],
        ["--served-model-name", "acme/guard-7b"],
        ["--dtype", "auto"],
    ]
    launch.words += rng.choice(options)


def _attested_first(_: random.Random, launch: Launch) -> None:
    # [4] the last one wins; an evil word that follows overrides the attested one.
    launch.words += ["--served-model-name", "acme/guard-7b", "hf://acme/guard-7b"]


def _kubelet(rng: random.Random, launch: Launch) -> None:
    # [9] $(VAR): the whole word, or a part of it.
    index = rng.randrange(len(launch.words))
    word = launch.words[index]
    if not word:
        return
    start = rng.randrange(len(word)) if "$" not in word and rng.random() < 0.5 else 0
    end = rng.randrange(start + 1, len(word) + 1) if "$" not in word and rng.random() < 0.5 else len(word)
    name = f"W{len(launch.env)}"
    launch.env.append({"name": name, "value": word[start:end]})
    launch.words[index] = f"{word[:start]}$({name}){word[end:]}"


def _kubelet_chain(_: random.Random, launch: Launch) -> None:
    # [10] a variable of a variable, one that is shadowed by a later entry of the same name
    number = len(launch.env)
    for index, word in enumerate(launch.words):
        if "$" in word or not word:
            continue
        launch.env += [
            {"name": f"A{number}_{index}", "value": word[:1]},
            {"name": f"B{number}_{index}", "value": "acme"},
            {"name": f"B{number}_{index}", "value": f"$(A{number}_{index}){word[1:]}"},
        ]
        launch.words[index] = f"$(B{number}_{index})"


def _wrap(rng: random.Random, launch: Launch) -> None:
    wrapper = rng.choice(WRAPPERS)
    if wrapper[0] == "script":
        launch.words = [*wrapper, " ".join(quoted(rng, word) for word in launch.words)]
    elif wrapper[0] == "find":
        launch.words = [*wrapper, *launch.words, ";"]
    else:
        launch.words = [*wrapper, *launch.words]


def quoted(rng: random.Random, word: str, variables: list[tuple[str, str]] | None = None) -> str:
    """One word as a shell may write it; some ways need a variable, which is then added."""
    styles: list[Callable[[], str]] = [
        lambda: "'" + word.replace("'", "'\"'\"'") + "'",
        lambda: '"' + re.sub(r'(["\\$`])', r"\\\1", word) + '"',
        lambda: (
            "".join(f"\\{letter}" if _PLAIN_SPLIT.match(letter) is None and letter != "\n" else letter for letter in word)
            if "\n" not in word
            else "'" + word.replace("'", "'\"'\"'") + "'"
        ),
    ]
    if _SAFE.fullmatch(word):
        place = rng.randrange(1, len(word)) if len(word) > 1 else 0
        styles += [
            lambda: word,
            lambda: f"{word[:place]}''{word[place:]}",
            lambda: f'"{word[:place]}"{word[place:]}',
            lambda: f"{word[:place]}\\\n{word[place:]}",
            lambda: f"\\{word}",
            lambda: f"$'{word}'",
            lambda: f'$"{word}"',
            lambda: f"${{UNSET:-{word}}}",
            lambda: f"${{UNSET-{word}}}",
            lambda: f"${{UNSET:={word}}}",
            lambda: f"${{PATH:+{word}}}",
        ]
    if variables is not None:
        name = f"v{len(variables)}"
        styles += [lambda: _stored(variables, name, word, f"${name}"), lambda: _stored(variables, name, word, f'"${{{name}}}"')]
    return rng.choice(styles)()


def _stored(variables: list[tuple[str, str]], name: str, value: str, text: str) -> str:
    if _SAFE.fullmatch(value) is None:
        text = f'"${{{name}}}"'
    variables.append((name, value))
    return text


_FRAMES: tuple[str, ...] = (
    "{}",
    "exec {}",
    "set -euo pipefail; {}",
    "# start\n{}",
    "true && {}",
    "false || {}",
    "if true; then {}; fi",
    "if ! {}; then exit 1; fi",
    "while true; do {}; done",
    "until {}; do sleep 1; done",
    "for i in 1 2; do {}; done",
    "({})",
    "{{ {}; }}",
    "{} & wait",
    "{} > /dev/null 2>&1",
    "{} 2>&1 | tee /tmp/log",
    "> /dev/null {}",
    "2>/dev/null {}",
    "sleep 1; {} &\nwait $!",
    "f() {{ {}; }}; f",
    "function f {{ {}; }}; f",
    "case x in x) {} ;; esac",
    "case x in (x) {} ;; esac",
    "eval {}",
    "command {}",
    "builtin exec {}",
    "exec -a guard {}",
    "time {}",
    "! {}",
    "echo $({})",
    "X=$({}); echo $X",
    'echo "$({})"',
    "echo `{}`",
    "cat <({})",
    "trap '' TERM; {}",
    "cat <<EOF\nvllm serve acme/guard-7b\nEOF\n{}",
    "export A=b C=d; {}",
    "A=b C='d e' {}",
    "cd /models; ulimit -n 4096; {}",
    "echo ok;{}",
    "echo 'it'\\''s ok'; {}",
    "echo a#b; {}",
    "[ -f /x ] || {}",
    "[[ 1 < 2 ]] && {}",
    "x=${{#PATH}}; {}",
    "echo $((1<<2)); {}",
    "let x=1; {}",
    'test -n "$X"|| {}',
    "coproc {}",
    "wait\r\n{}",
    "yes | {}",
    "cat /etc/x | xargs -I% {}",
    "nohup {} &",
    'echo "${{A:-b}}"; {}',
    "{} # acme/guard-7b",
    "shopt -s extglob\n{}",
    "source /etc/profile; {}",
    ". /etc/profile; {}",
    "exec 3>&1; {}",
    "PATH=/x:$PATH {}",
    "python3 - <<'EOF'\nprint(1)\nEOF\n{}",
    "{}; exit",
    "M=acme/guard-7b; read M < /dev/null; {}",
    "alias x=y; {}",
    "exec 2>&1; exec {}",
    "set -- a b; shift; {}",
    "trap {} EXIT",
    "echo {} | sh",
    "printf '%s' {} | bash -s",
)
_ONE_LINERS = frozenset({"eval {}"})


def _shell(rng: random.Random, launch: Launch) -> None:
    variables: list[tuple[str, str]] = []
    plain = rng.random() < 0.3
    words = [
        word if plain and _SAFE.fullmatch(word) else quoted(rng, word, variables if rng.random() < 0.3 else None)
        for word in launch.words
    ]
    frame = rng.choice(_FRAMES)
    if "`" in frame and any("`" in word for word in launch.words):
        frame = "{}"
    if "`" in frame or "eval" in frame or "| sh" in frame or "| bash" in frame or "trap {}" in frame:
        words = [word if _SAFE.fullmatch(word) else _single(word) for word in launch.words]
        if "trap {}" in frame:
            words = [_single(" ".join(words))]
        elif "`" not in frame:
            words = [_single(" ".join(words))] if rng.random() < 0.5 else [_single(word) for word in words]
        variables = []
    script = frame.format(" ".join(words))
    stored = "".join(
        f"{rng.choice(['', 'export '])}{name}={_single(value)}{rng.choice(['; ', chr(10)])}" for name, value in variables
    )
    shell = rng.choice(
        [
            ["sh", "-c"],
            ["/bin/sh", "-ec"],
            ["bash", "-lc", "--"],
            ["bash", "-exc"],
            ["bash", "-o", "pipefail", "-c"],
            ["/usr/bin/env", "bash", "-c"],
            ["bash", "--norc", "--noprofile", "-c"],
            ["bash", "+e", "-c"],
            ["busybox", "sh", "-c"],
            ["zsh", "-c"],
            ["bash", "-O", "extglob", "-c"],
            ["sh", "-e", "-u", "-c"],
        ]
    )
    launch.words = [*shell, f"{stored}{script}".replace("$(", "$$(")]


def _single(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _shell_arguments(rng: random.Random, launch: Launch) -> None:
    # [6] exec "$@", $0, shift
    place = rng.randrange(0, len(launch.words) + 1)
    front, rest = launch.words[:place], launch.words[place:]
    whole = rng.choice(['"$@"', "$@", '"${@}"', '"$*"' if len(rest) == 1 else '"$@"'])
    if whole == "$@" and not all(_SAFE.fullmatch(word) for word in rest):
        whole = '"$@"'  # without quotes a shell splits a word with blanks, and another program runs
    script = " ".join(["exec", *(_single(word) for word in front), whole])
    launch.words = ["bash", "-c", script.replace("$(", "$$("), "--", *rest]


def _split_words(rng: random.Random, launch: Launch) -> None:
    # An unquoted variable is split at blanks.
    if all(_SAFE.fullmatch(word) for word in launch.words):
        place = rng.randrange(0, len(launch.words))
        text, rest = " ".join(launch.words[place:]), " ".join(launch.words[:place])
        name = "CMD"
        if rng.random() < 0.5:
            launch.env.append({"name": name, "value": text})
            launch.words = ["sh", "-c", f"{rest} ${name}"]
        else:
            launch.words = ["sh", "-c", f"{name}={_single(text)}; {rest} ${name}"]


def _here_document(rng: random.Random, launch: Launch) -> None:
    if all(_SAFE.fullmatch(word) for word in launch.words):
        tag = rng.choice(["EOF", "'EOF'", '"END"'])
        shell = rng.choice(["bash", "sh -s", "sh -e", "cat | sh", "/bin/bash -x"])
        script = f"{shell} <<{tag}\n{' '.join(launch.words)}\n{tag.strip(chr(34) + chr(39))}\n"
        launch.words = ["sh", "-c", script]


def _words(launch: Launch) -> bool:
    return bool(launch.words)


def _program(launch: Launch) -> bool:
    return bool(launch.words) and launch.programmed


def _is_serve(launch: Launch) -> bool:
    return launch.words[:2] == ["vllm", "serve"]


def _vllm(launch: Launch) -> bool:
    return launch.engine == "vllm"


DISGUISES: tuple[Disguise, ...] = (
    Disguise("module", 0, _is_serve, _as_module),
    Disguise("harmless options", 0, _is_serve, _harmless_options),
    Disguise("equals", 0, _has_value, _equals),
    Disguise("underscores", 0, _vllm, _underscores),
    Disguise("abbreviations", 0, _is_serve, _abbreviations),
    Disguise("full path", 0, _program, _full_path),
    Disguise("kubelet variable", 4, _words, _kubelet),
    Disguise("kubelet chain", 4, _words, _kubelet_chain),
    Disguise("wrapper", 2, _program, _wrap),
    Disguise("second wrapper", 2, _program, _wrap),
    Disguise("shell", 3, _program, _shell),
    Disguise("inner shell", 3, _program, _shell),
    Disguise("shell arguments", 3, _program, _shell_arguments),
    Disguise("word splitting", 3, _program, _split_words),
    Disguise("here-document", 3, _program, _here_document),
)
