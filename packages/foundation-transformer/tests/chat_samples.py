"""Conversations, and templates that use what published ones do, all written for these tests."""

from pathlib import Path

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place & <time>.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}},
}

#: (messages, options)
CONVERSATIONS = {
    "question": ([{"role": "user", "content": "Hi there!"}], {}),
    "generation": (
        [{"role": "user", "content": "  What is 1 < 2?\n"}],
        {"add_generation_prompt": True},
    ),
    "system": (
        [
            {"role": "system", "content": "You answer in one word. "},
            {"role": "user", "content": "Ça va? 你好 👋"},
            {"role": "assistant", "content": " Oui.\n\n"},
            {"role": "user", "content": "And\nyou"},
        ],
        {"add_generation_prompt": True},
    ),
    "thinking": (
        [
            {"role": "user", "content": "2 + 2"},
            {"role": "assistant", "content": "<think>\nEasy.\n</think>\n\nFour"},
            {"role": "user", "content": "3 + 3"},
            {"role": "assistant", "content": "Six", "reasoning_content": "Harder."},
        ],
        {},
    ),
    "parts": (
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "one"}, {"type": "text", "text": " two "}],
            }
        ],
        {"add_generation_prompt": True},
    ),
    "tools": (
        [
            {"role": "system", "content": "Help."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {
                "role": "tool",
                "name": "get_weather",
                "content": '{"sky": "blue"}',
                "tool_call_id": "call00001",
            },
            {"role": "assistant", "content": "Blue."},
            {"role": "user", "content": "Thanks"},
        ],
        {"add_generation_prompt": True, "tools": [WEATHER]},
    ),
    "variables": (
        [{"role": "user", "content": "Think not."}],
        {"add_generation_prompt": True, "enable_thinking": False, "name": "Ada"},
    ),
}

SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TOKENS = ["<s>", "</s>", "<|start|>", "<|sep|>", "<|end|>", "[INST]", "[/INST]", "<|user|>"]
TOKENS += ["<|assistant|>", "<|system|>", "<|tool|>"]

TEMPLATES = {
    file.stem: file.read_text("utf-8")
    for file in sorted((Path(__file__).parent / "chat_templates").glob("*.jinja"))
}
