"""Sentences in ten scripts and more, and texts that cutting rules stumble over."""

SENTENCES = {
    "Latin": "A quick brown fox can't jump over 13 lazy dogs; l'été, où ça ? Straße, Łódź, İzmir.",
    "Cyrillic": "Быстрая лиса прыгает через 27 ленивых собак, не правда ли? Київ, Ђорђе.",
    "Greek": "Η γρήγορη αλεπού πηδά πάνω από το τεμπέλικο σκυλί· ΟΔΥΣΣΕΥΣ, ὁ ἄνθρωπος.",
    "Arabic": "الثعلب السريع يقفز فوق الكلب الكسول، أليس كذلك؟ ١٢٣٤ می‌خواهم",
    "Hebrew": "השועל המהיר קופץ מעל הכלב העצלן, שָׁלוֹם־עֲלֵיכֶם.",
    "Devanagari": "तेज़ लोमड़ी आलसी कुत्ते के ऊपर कूदती है। १२३ क्षत्रिय",
    "Han": "敏捷的狐狸跳过了懒狗,不是吗?二〇二四年㐀𠀀",
    "Kana": "すばやい狐がのろまな犬を飛び越える。カタカナ、ﾊﾝｶｸ、ゔ",
    "Hangul": "날쌘 여우가 게으른 개를 뛰어넘는다. 한글",
    "Thai": "สุนัขจิ้งจอกกระโดดข้ามสุนัขขี้เกียจ ๑๒๓",
    "Tamil": "விரைவான நரி சோம்பேறி நாயைத் தாண்டுகிறது. ௧௨௩",
    "Georgian": "სწრაფი მელა გადაახტა ზარმაც ძაღლს. ᲗᲑᲘᲚᲘᲡᲘ",
    "Ethiopic": "ፈጣኑ ቀበሮ ሰነፉን ውሻ ዘለለ። ፲፪",
}

TRICKY = [
    "",
    " ",
    "   ",
    "\n",
    " \n\n  x",
    "a  b   c    ",
    "I'll I'LL it's IT'S they've 'tis ''",
    "x=1;y+=22_333 #!/usr/bin/env\r\n\tif (a<=b) {return;}\r\n",
    "3.14159 1,000,000 ½ Ⅻ ² ٣٤ 10⁶",
    "tab\tvertical\x0bfeed\x0cseparator\x1c\x1d\x1e\x1fnext\x85line\u2028para\u2029end\u3000wide\xa0hard",
    "nul\x00byte \x7f \x9f \ufeff\u200b\u200d\u00ad",
    "cafe\u0301 café ﬁ ① ﷺ",
    "👍🏽 👩‍👩‍👧 🇫🇷 ❤️",
    "€£¥ «quoted» “quoted” …—–‐",
    "\ufffd \ufffe \U0010ffff \ue000",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "<s> </s> [CLS] [MASK] <|endoftext|> <|im_start|>",
]

CORPUS = [*SENTENCES.values(), *TRICKY, " ".join(SENTENCES.values())]
