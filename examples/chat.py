"""A chat in the terminal whose history the session keeps.

    pip install freeplay-like
    export OPENAI_API_KEY=... FREEPLAY_LIKE_API_KEY=... FREEPLAY_LIKE_PROJECT=...
    python examples/chat.py

`/history` shows the conversation, `/restore SESSION_ID` goes on with an earlier one, `/quit` (or Ctrl-D) ends. Ctrl-C
leaves an answer: the provider's connection is closed, the record says `cancelled`, and the question is not part of the
conversation.
"""

from __future__ import annotations

import os

from freeplay_like import ChatSession, CompletionStream, Freeplay, FreeplayError, OpenAIChat

PROJECT = os.environ["FREEPLAY_LIKE_PROJECT"]
TEMPLATE = "assistant"  # a template of the project, with the variables name and question


def ask(fp: Freeplay, chat: ChatSession | None, question: str) -> tuple[ChatSession, CompletionStream]:
    """The answer's stream, and the session it belongs to: a new one where none has begun."""
    if chat is not None:
        return chat, chat.send_stream(question)
    chat, _, stream = fp.start_chat_stream(PROJECT, TEMPLATE, {"name": "Ann", "question": question})
    return chat, stream


def show(chat: ChatSession | None) -> None:
    for message in chat.history if chat else ():
        print(f"{message.role}: {message.content}")


def say(chat: ChatSession) -> None:
    totals = chat.totals
    used = f"{totals.calls} calls, {totals.input_tokens} tokens in, {totals.output_tokens} out"
    print(f"[session {chat.session_id}: {used}]")


def answer(fp: Freeplay, chat: ChatSession | None, line: str) -> ChatSession | None:
    """Do what a line says; the session that the next line belongs to."""
    command, _, argument = line.partition(" ")
    if command == "/history":
        show(chat)
    elif command == "/restore":
        chat = fp.restore_session(PROJECT, argument.strip())
        show(chat)
    else:
        chat, stream = ask(fp, chat, line)
        with stream:
            stream.deliver(lambda text: print(text, end="", flush=True))
        print()
        say(chat)
    return chat


def main() -> None:
    chat: ChatSession | None = None
    with Freeplay(OpenAIChat(openai_api_base=os.environ.get("OPENAI_BASE_URL"))) as fp:
        while True:
            try:
                line = input("> ").strip()
                if line == "/quit":
                    break
                if line:
                    chat = answer(fp, chat, line)
            except KeyboardInterrupt:
                print("\n[left; /quit ends the program]")
            except FreeplayError as error:
                print(f"[{error}]")
            except EOFError:
                break


if __name__ == "__main__":
    main()
