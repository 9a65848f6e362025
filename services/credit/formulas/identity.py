"""Check characters of Chinese identity codes.        docs/equations/credit.md (C70)-(C75), (C90)

USCC  统一社会信用代码, 18 characters of a firm or cooperative
identity number  居民身份证号码, 18 characters of a person
"""

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
IDENTITY_ALPHABET = "10X98765432"
# First two characters: the authority that registered, and what it registered.
_HOLDERS = {
    "91": "enterprise",
    "92": "individual_business",
    "93": "cooperative",
    "N1": "collective",
    "N2": "collective",
    "N3": "collective",
}
# First two digits are the province of registration, in the six regions and the three later ones.
_PROVINCES = frozenset(
    {*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66)}
) | {
    71,
    81,
    82,
    83,
}
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def uscc_weights() -> list[int]:
    """Eq. (C70): weights of the first 17 positions, 3^(i−1) mod 31. [-]

    Source: GB 32100-2015; read.

    >>> uscc_weights()[:6]
    [1, 3, 9, 27, 19, 26]
    """
    return [pow(3, position, 31) for position in range(17)]


def uscc_check_character(first17: str) -> str:
    """Eq. (C71): check character of a USCC, alphabet[(31 − Σ w·c mod 31) mod 31]. [-]

    The outer mod matters for one code in 31: a sum of 0 gives '0'.
    Source: GB 32100-2015; read.

    >>> uscc_check_character("91350100M000100Y4")
    '3'
    """
    if len(first17) != 17 or any(character not in USCC_ALPHABET for character in first17):
        raise ValueError("a check character needs 17 characters of the USCC alphabet")
    total = sum(
        weight * USCC_ALPHABET.index(character) for weight, character in zip(uscc_weights(), first17, strict=True)
    )
    return USCC_ALPHABET[(31 - total % 31) % 31]


def uscc_fault(code: str) -> str | None:
    """Eq. (C72): what is wrong with a USCC: length, characters, check character, or nothing. [-]

    Source: GB 32100-2015; read.

    >>> uscc_fault("91350100M000100Y43"), uscc_fault("91350100M000100Y4Z")
    (None, 'characters')
    """
    if len(code) != 18:
        return "length"
    if any(character not in USCC_ALPHABET for character in code):
        return "characters"
    return None if uscc_check_character(code[:17]) == code[17] else "check character"


def identity_check_character(first17: str) -> str:
    """Eq. (C73): check character of an identity number, alphabet[Σ w·d mod 11]. [-]

    Source: GB 11643-1999, ISO 7064 MOD 11-2; read.

    >>> identity_check_character("37010119010203997")
    '3'
    """
    if len(first17) != 17 or not (first17.isascii() and first17.isdigit()):
        raise ValueError("a check character needs 17 digits")
    total = sum(weight * int(digit) for weight, digit in zip(IDENTITY_WEIGHTS, first17, strict=True))
    return IDENTITY_ALPHABET[total % 11]


def identity_number_fault(number: str, as_of: int | None = None) -> str | None:
    """Eq. (C74): what is wrong with an identity number: length, characters, region, birth date, check character. [-]

    `as_of` is the day of the decision as yyyymmdd; a birth after it is refused.
    Source: GB 11643-1999, ISO 7064 MOD 11-2; read.

    >>> identity_number_fault("370101190102299978")
    'birth date'
    """
    if len(number) != 18:
        return "length"
    if not (number[:17].isascii() and number[:17].isdigit() and number[17] in IDENTITY_ALPHABET):
        return "characters"
    if int(number[:2]) not in _PROVINCES:
        return "region"
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    if not (year >= 1850 and 1 <= month <= 12 and 1 <= day <= _days(year, month)):
        return "birth date"
    if as_of is not None and int(number[6:14]) > as_of:
        return "birth date"
    return None if identity_check_character(number[:17]) == number[17] else "check character"


def masked_number(number: str) -> str:
    """Eq. (C75): a code fit for logs and pages: first 3 and last 2 characters, the rest starred. [-]

    Source: our own rule; no.

    >>> masked_number("370101190102039973")
    '370*************73'
    """
    return number[:3] + "*" * (len(number) - 5) + number[-2:] if len(number) > 8 else "*" * len(number)


def uscc_holder(code: str) -> str | None:
    """Eq. (C90): who has a USCC, by its first two characters; nothing for whoever does not borrow on forests. [-]

    Source: GB 32100-2015; read.

    >>> uscc_holder("91350100M000100Y43"), uscc_holder("12350100M000100Y43")
    ('enterprise', None)
    """
    return _HOLDERS.get(code[:2])


def _days(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap
