"""What the published models are asked, by those who record the references and those who compare."""

#: Every so many columns of the logits are kept: 49,152 for each token would be too many.
COLUMNS = slice(None, None, 97)

PROMPTS = [
    "The quick brown fox jumps over the lazy dog.",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "In 1969, Apollo 11 landed on the Moon. Eight years later,",
    "Il était une fois, dans un pays lointain, une princesse qui",
]

CONVERSATION = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
    "<|im_start|>assistant\n"
)

#: Ten scripts, digits, marks, white space and pictures.
TEXTS = [
    "It's 12,345.67 °C — isn't it? We'll see…\n\n\tdef f(x): return x**2  # 'ok'",
    "Ça va? Größe, naïve café, İstanbul, Æsir",
    "Съешь же ещё этих мягких французских булок, да выпей чаю 2024",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία ΟΔΥΣΣΕΥΣ",
    "صِف خَلقَ خَودٍ كَمِثلِ الشَمسِ إِذ بَزَغَت ١٢٣",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा १२३",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "いろはにほへと ちりぬるを カタカナ 東京都",
    "我能吞下玻璃而不伤身体。三百六十五",
    "키스의 고유조건은 입술끼리 만나야 하고",
    "👩‍👩‍👧‍👦 🇫🇷 👍🏽 ½ ² Ⅷ ﬁ a\u0301 \u00a0 \u2003 <|im_start|>",
]

SENTENCES = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "A man is riding a horse.",
    "A woman is playing the violin.",
    "Two men pushed carts through the woods.",
    "A monkey is playing drums.",
    "A cheetah is running behind its prey.",
    "Someone in a gorilla costume is playing a set of drums.",
    "Gradient descent finds a minimum of the loss.",
    "The model is trained by minimising its error.",
    "It rains in Paris today; take an umbrella.",
]
