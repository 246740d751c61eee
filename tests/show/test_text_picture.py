"""Text becomes a picture that is as large as the text."""

import struct

from hep_flows.show.text_picture import save_text_picture


def _size(path):
    """Read width and height off a PNG's first chunk."""
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_more_lines_make_it_higher_and_longer_ones_wider(tmp_path):
    small = _size(save_text_picture("a line", tmp_path / "new" / "small.png"))
    high = _size(save_text_picture("a line\nand one more", tmp_path / "high.png"))
    assert high[0] > small[0]
    assert high[1] > small[1]


def test_dollar_signs_stay_as_they_are(tmp_path):
    assert save_text_picture("$p_T", tmp_path / "dollar.png").is_file()
