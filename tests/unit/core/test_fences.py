from __future__ import annotations

import pytest

from freeplay_like.core.fences import code_blocks, extract_code, json_text, whole_block

TICKS = "```"


def test_lines_of_words_alone_are_code() -> None:
    text = "```python\nimport os\nimport sys\n\nprint(1)\n```"
    assert extract_code(text) == "import os\nimport sys\n\nprint(1)\n"
    assert extract_code("```\nall words here\n```") == "all words here\n"


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", "python"),
        ("c++", "c++"),
        ("objective-c", "objective-c"),
        ("C#", "c#"),
        ("", ""),
        ('title="x"', ""),
        ('js title="app.js"', "js"),
        ("python:app/main.py", "python"),
        ("{.python .numberLines}", "python"),
        ("js{1,3-5}", "js"),
        ("  py  ", "py"),
    ],
)
@pytest.mark.parametrize("fence", ["```", "~~~", "````", "~~~~~"])
def test_any_info_string_opens_a_block(info: str, language: str, fence: str) -> None:
    (block,) = code_blocks(f"before\n{fence}{info}\nx = 1\n{fence}\nafter")
    assert (block.info, block.language, block.code) == (info.strip(), language, "x = 1\n")
    assert (block.start_line, block.end_line, block.is_closed) == (2, 4, True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do_and_is_kept(end: str) -> None:
    text = end.join(["```py", "a = 1", "b = 2", "```", ""])
    assert extract_code(text) == f"a = 1{end}b = 2{end}"


def test_characters_that_only_look_like_line_ends_are_code() -> None:
    assert extract_code("```\na\u2028```\x0b```\n```") == "a\u2028```\x0b```\n"


def test_a_longer_fence_holds_shorter_ones_and_others() -> None:
    inner = "```bash\nls\n```\n~~~\n"
    assert extract_code(f"````text\n{inner}````\n") == inner
    assert [block.code for block in code_blocks("~~~\n```\n~~~\n")] == ["```\n"]


def test_a_block_that_is_not_closed_goes_on_to_the_end() -> None:
    (block,) = code_blocks("```py\na = 1\nb = 2")
    assert (block.code, block.is_closed, block.end_line) == ("a = 1\nb = 2", False, 3)
    assert extract_code("Sure:\n```py\na = 1\n") == "a = 1\n"
    assert extract_code("```py") == ""


def test_a_fence_may_be_indented_by_three_spaces_and_its_code_with_it() -> None:
    (block,) = code_blocks("   ```py\n   if x:\n     y\n z\n   ```\n")
    assert block.code == "if x:\n  y\nz\n"
    assert code_blocks("    ```py\n    x\n    ```\n") == ()


@pytest.mark.parametrize("text", ["```x``` y", "``\nx\n``", "a ```\nb\n", "``` `x`"])
def test_ticks_that_are_no_fence_are_none(text: str) -> None:
    assert code_blocks(text) == ()
    assert extract_code(text) == text


def test_a_fence_closes_only_with_its_own_kind_and_length_and_nothing_behind() -> None:
    (block,) = code_blocks("````\n```\n~~~~\n```` x\n`````  \n")
    assert block.code == "```\n~~~~\n```` x\n"


def test_an_answer_that_is_one_block_differs_from_one_that_holds_some() -> None:
    assert whole_block("\n```py\na\n```\n\n") == code_blocks("\n```py\na\n```\n\n")[0]
    assert whole_block("```py\na") is not None
    for text in ("Sure:\n```py\na\n```", "```py\na\n```\nDone.", "```\na\n```\n```\nb\n```", "a", ""):
        assert whole_block(text) is None


def test_without_a_block_the_text_is_the_code() -> None:
    assert extract_code("print(1)\n", "a.py") == "print(1)\n"
    assert extract_code("") == ""


@pytest.mark.parametrize(
    ("filename", "code"),
    [
        (None, "npm i\n"),
        ("src/app.js", "app\n"),
        ("lib.js", "lib\n"),
        ("style.css", "css\n"),
        ("other.js", "app\n"),
        ("build.sh", "npm i\n"),
        ("main.rs", "npm i\n"),
    ],
)
def test_of_several_blocks_the_one_of_the_file_is_taken(filename: str | None, code: str) -> None:
    text = (
        "```bash\nnpm i\n```\nthen\n"
        "```javascript title=\"src/app.js\"\napp\n```\n"
        "```js:lib.js\nlib\n```\n"
        "```css\ncss\n```\n"
    )  # fmt: skip
    assert extract_code(text, filename) == code


README = f"# Title\n\n{TICKS}bash\nls\n{TICKS}\n\nand\n\n{TICKS}python\nprint(1)\n{TICKS}\n"


@pytest.mark.parametrize(
    "text",
    [
        README,
        f"{TICKS}markdown\n{README}{TICKS}\n",
        f"{TICKS}md\n{README}{TICKS}",
        f"{TICKS}\n{README}{TICKS}\n",
        f"````markdown\n{README}````\n",
        f"~~~\n{README}~~~\n",
        f"Here it is:\n\n{TICKS}markdown\n{README}{TICKS}\n\nEnjoy!\n",
    ],
)
def test_a_markdown_file_keeps_the_blocks_in_it(text: str) -> None:
    assert extract_code(text, "README.md") == README


@pytest.mark.parametrize(
    "text",
    [
        f"{TICKS}bash\nls\n{TICKS}\n\nthen\n\n{TICKS}python\nx\n{TICKS}\n",
        f"{TICKS}\na\n{TICKS}\nand\n{TICKS}\nb\n{TICKS}\n",
        f"{TICKS}\n",
        "",
        "\n",
    ],
)
def test_a_markdown_file_may_begin_and_end_with_a_block(text: str) -> None:
    assert extract_code(text, "notes.md") == text


def test_a_long_line_of_spaces_costs_no_more_than_its_length() -> None:
    assert extract_code("```" + " " * 200_000 + "x\n1\n```") == "1\n"


@pytest.mark.parametrize(
    ("answer", "json"),
    [
        (' {"a": 1}\n', '{"a": 1}'),
        ("[1]", "[1]"),
        ("3", "3"),
        ('```json\n{"a": 1}\n```', '{"a": 1}\n'),
        ('Sure:\n\n```\n{"a": 1}\n```\nDone.', '{"a": 1}\n'),
        ("```python\nx\n```\n```json\n[1]\n```", "[1]\n"),
        ('{"a": "```json"}', '{"a": "```json"}'),
        ("```json\n1\n```\n```json\n2\n```", "```json\n1\n```\n```json\n2\n```"),
        ("```python\n1\n```", "```python\n1\n```"),
        ("The answer is 3", "The answer is 3"),
    ],
)
def test_json_is_the_whole_answer_or_its_one_block(answer: str, json: str) -> None:
    assert json_text(answer) == json
