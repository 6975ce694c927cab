"""What keys are called: as in Linux's `input-event-codes.h`, in lower case, without `KEY_`."""

from __future__ import annotations

_KEYS = """
    esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab q w e r t y u i o p leftbrace
    rightbrace enter leftctrl a s d f g h j k l semicolon apostrophe grave leftshift
    backslash z x c v b n m comma dot slash rightshift kpasterisk leftalt space capslock f1
    f2 f3 f4 f5 f6 f7 f8 f9 f10 numlock scrolllock kp7 kp8 kp9 kpminus kp4 kp5 kp6 kpplus
    kp1 kp2 kp3 kp0 kpdot - zenkakuhankaku 102nd f11 f12 ro katakana hiragana henkan
    katakanahiragana muhenkan kpjpcomma kpenter rightctrl kpslash sysrq rightalt linefeed
    home up pageup left right end down pagedown insert delete macro mute volumedown volumeup
    power kpequal kpplusminus pause scale kpcomma hangeul hanja yen leftmeta rightmeta
    compose stop again props undo front copy open paste find cut help menu calc setup sleep
    wakeup file sendfile deletefile xfer prog1 prog2 www msdos coffee rotate_display
    cyclewindows mail bookmarks computer back forward closecd ejectcd ejectclosecd nextsong
    playpause previoussong stopcd record rewind phone iso config homepage refresh exit move
    edit scrollup scrolldown kpleftparen kprightparen new redo f13 f14 f15 f16 f17 f18 f19
    f20 f21 f22 f23 f24 - - - - - playcd pausecd prog3 prog4 all_applications suspend close
    play fastforward bassboost print hp camera sound question email chat search connect
    finance sport shop alterase cancel brightnessdown brightnessup media switchvideomode
    kbdillumtoggle kbdillumdown kbdillumup send reply forwardmail save documents battery
    bluetooth wlan uwb unknown video_next video_prev brightness_cycle brightness_auto
    display_off wwan rfkill micmute
"""
"""From code 1 on; `-` has no name."""
_MOUSE = "left right middle side extra forward back task"
_JOYSTICK = "trigger thumb thumb2 top top2 pinkie base base2 base3 base4 base5 base6"
_GAMEPAD = "south east c north west z tl tr tl2 tr2 select start mode thumbl thumbr"
_BUTTONS = {0x110: _MOUSE, 0x120: _JOYSTICK, 0x130: _GAMEPAD}
"""Buttons by the code of the first; `btn_` stands before their names."""

_NAMES = {code: name for code, name in enumerate(_KEYS.split(), start=1) if name != "-"} | {
    code: f"btn_{name}"
    for first, names in _BUTTONS.items()
    for code, name in enumerate(names.split(), start=first)
}

_TYPED = {
    " ": "space",
    "\n": "enter",
    "\r": "enter",
    "\t": "tab",
    "\b": "backspace",
    "\x7f": "backspace",
    "\x1b": "esc",
    "-": "minus",
    "=": "equal",
    "[": "leftbrace",
    "]": "rightbrace",
    ";": "semicolon",
    "'": "apostrophe",
    "`": "grave",
    "\\": "backslash",
    ",": "comma",
    ".": "dot",
    "/": "slash",
}
_SENT = """
    A=up B=down C=right D=left H=home F=end P=f1 Q=f2 R=f3 S=f4 1~=home 2~=insert 3~=delete 4~=end
    5~=pageup 6~=pagedown 7~=home 8~=end 11~=f1 12~=f2 13~=f3 14~=f4 15~=f5 17~=f6 18~=f7 19~=f8
    20~=f9 21~=f10 23~=f11 24~=f12
"""
_SEQUENCES = {sent: name for sent, _, name in (pair.partition("=") for pair in _SENT.split())}
"""What follows `ESC [` or `ESC O` in what a terminal sends, as xterm does."""


def name_of_code(code: int) -> str:
    """Return what a key of an input device is called; `code_240` where it has no name."""
    return _NAMES.get(code, f"code_{code}")


def name_of_character(character: str) -> str | None:
    """Return what a key that types a character is called; None for other control characters."""
    if name := _TYPED.get(character):
        return name
    return character.lower() if character.isprintable() else None


def name_of_sequence(sequence: str) -> str | None:
    """Return what a key is called that sends `ESC [` or `ESC O` and then this; None: not known."""
    return _SEQUENCES.get(sequence)
