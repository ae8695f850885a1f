"""Files as a strategy: any bytes, and good files that were cut, spliced, overwritten, repeated or encoded anew."""

from __future__ import annotations

from hypothesis import strategies as st

from core.settings import PROJECT_DIR

SAMPLES = PROJECT_DIR / "data" / "samples"
GOOD = [
    (SAMPLES / "forum.tsv").read_bytes()[:1_500],
    (SAMPLES / "labelled.jsonl").read_bytes()[:1_500],
    'pid,text,label\n1,"两\n行",normal\n,"他说""好""",违规\n'.encode(),
    "pid\ttext\tlabel\n1\t正文\t合规\n2\t\\N\tviolation\n".encode(),
    b"pid\tcontext\thit_word\n" + b"".join(b"%d\tplain text %d\tw\n" % (n % 5, n) for n in range(20)),
    *(path.read_bytes()[:1_500] for path in sorted((PROJECT_DIR / "tests" / "nasty").iterdir())),
]
ODD = [
    b"\0",
    b"\t",
    b"\n",
    b"\r",
    b'"',
    b",",
    b"\\",
    b"\\N",
    b"\x81",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"{",
    b"[",
]
ENCODINGS = ["gb18030", "utf-16", "utf-16-be", "utf-8-sig", "utf-32"]


@st.composite
def _spoiled(draw: st.DrawFn) -> bytes:
    raw = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 40)))
        how = draw(st.sampled_from(["cut", "insert", "overwrite", "splice", "end", "begin", "repeat", "encode"]))
        if how == "cut":
            raw = raw[:start] + raw[end:]
        elif how == "insert":
            raw = raw[:start] + draw(st.sampled_from(ODD)) + raw[start:]
        elif how == "overwrite":
            raw = raw[:start] + draw(st.binary(min_size=end - start, max_size=end - start)) + raw[end:]
        elif how == "splice":
            raw = raw[:start] + draw(st.sampled_from(GOOD))[end : end + 200] + raw[start:]
        elif how == "end":
            raw = raw[:start]
        elif how == "begin":
            raw = raw[start:]
        elif how == "repeat":
            raw = raw[:start] + raw[start:end] * draw(st.integers(2, 20)) + raw[end:]
        else:
            raw = raw.decode("utf-8", "replace").encode(draw(st.sampled_from(ENCODINGS)), "replace")
    return raw


spoiled_files = _spoiled() | st.binary(max_size=300)
