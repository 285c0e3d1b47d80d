import msgspec
import pytest

from bridges.errors import UnitTreeError, UnknownUnitError
from bridges.units import Unit, UnitTree, successor_of, units_on, with_version
from bridges.vietnam import load_vietnam_units


def unit(code: str, parent: str = "") -> Unit:
    """A unit whose name does not matter."""
    return Unit(code=code, name=f"Đơn vị {code}", kind="xã", parent=parent)


def codes(units: tuple[Unit, ...]) -> list[str]:
    """Codes in order."""
    return [found.code for found in units]


def test_the_tree_answers_about_ancestors_and_descendants() -> None:
    """Roots, root_of, path, children and descendants agree, whatever the order of input."""
    tree = UnitTree([unit("b1", "b"), unit("a"), unit("a1", "a"), unit("b"), unit("a11", "a1"), unit("a2", "a")])
    assert codes(tree.roots) == ["a", "b"]
    assert tree.root_of("a11").code == "a"
    assert tree.root_of("b").code == "b"
    assert codes(tree.path("a11")) == ["a", "a1", "a11"]
    assert codes(tree.children("a")) == ["a1", "a2"]
    assert codes(tree.children("a11")) == []
    assert codes(tree.descendants("a")) == ["a1", "a11", "a2"]
    assert codes(tree.units) == ["a", "a1", "a11", "a2", "b", "b1"]
    assert len(tree) == 6
    assert "a1" in tree
    assert "zz" not in tree


def test_depth_is_data() -> None:
    """A chain far deeper than the interpreter's stack is a tree like any other."""
    chain = [unit("0"), *(unit(str(level), str(level - 1)) for level in range(1, 5_000))]
    tree = UnitTree(chain)
    assert tree.root_of("4999").code == "0"
    assert len(tree.descendants("0")) == 4_999


@pytest.mark.parametrize(
    ("units", "code", "named"),
    [
        ([unit("a"), unit("a")], "duplicate_code", ["a"]),
        ([unit("")], "duplicate_code", [""]),
        ([unit("a"), unit("b", "zz")], "unknown_parent", ["b"]),
        ([unit("a", "a")], "cycle", ["a"]),
        ([unit("r"), unit("a", "b"), unit("b", "a")], "cycle", ["a", "b"]),
    ],
)
def test_what_is_no_tree_is_refused(units: list[Unit], code: str, named: list[str]) -> None:
    """Each defect has its code and names the units."""
    with pytest.raises(UnitTreeError) as caught:
        UnitTree(units)
    assert caught.value.code == code
    assert caught.value.units == named


def test_too_many_units_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree is bounded."""
    monkeypatch.setattr("bridges.units.MAX_UNITS", 2)
    with pytest.raises(UnitTreeError) as caught:
        UnitTree([unit("a"), unit("b"), unit("c")])
    assert caught.value.code == "too_many_units"


def test_an_unknown_code_is_a_typed_error() -> None:
    """Questions about a code outside the tree name it."""
    tree = UnitTree([unit("a")])
    for question in (tree.unit, tree.root_of, tree.path, tree.children, tree.descendants):
        with pytest.raises(UnknownUnitError) as caught:
            question("zz")
        assert caught.value.unit == "zz"


def test_the_units_of_viet_nam_are_whole() -> None:
    """34 provincial units (28 + 6) and 3,321 communes (2,621 + 687 + 13), each commune below a province."""
    units = load_vietnam_units()
    tree = UnitTree(units)
    kinds = {kind: sum(found.kind == kind for found in units) for kind in {found.kind for found in units}}
    assert kinds == {"tỉnh": 28, "thành phố trực thuộc trung ương": 6, "xã": 2_621, "phường": 687, "đặc khu": 13}
    assert len(tree.roots) == 34
    assert len(units) == 34 + 3_321
    assert sum(len(tree.children(root.code)) for root in tree.roots) == 3_321
    assert tree.root_of("00004").name == "Thành phố Hà Nội"


def test_a_code_that_is_used_again_has_a_past() -> None:
    """What ended goes before what began after it, in whatever order they are registered; what overlaps is replaced."""
    before = Unit(code="26740", name="Bến Nghé", kind="phường", valid_to="2025-06-30")
    after = Unit(code="26740", name="Sài Gòn", kind="phường", valid_from="2025-07-01")
    for first, second in ((before, after), (after, before)):
        both = with_version(with_version(None, first), second)
        assert (both.name, both.former) == ("Sài Gòn", (before,))
        assert with_version(both, both) == both
        assert with_version(both, before) == both
    renamed = msgspec.structs.replace(after, name="Sài Gòn mới")
    assert with_version(with_version(before, after), renamed).versions == (before, renamed)


def test_a_unit_that_was_merged_has_an_heir() -> None:
    """Mergers are followed over any number of times, up to the day that is asked about; circles end."""
    found = {
        code: Unit(code=code, name=code, kind="xã", valid_to=valid_to, merged_into=into)
        for code, valid_to, into in (
            ("a", "2020-12-31", "b"),
            ("b", "2025-06-30", "c"),
            ("c", "", ""),
            ("d", "2025-06-30", "gone"),
            ("e", "2020-01-01", "e"),
        )
    }
    for code, on, heir in (
        ("a", "2020-12-31", "a"),
        ("a", "2021-01-01", "b"),
        ("a", "2026-01-01", "c"),
        ("d", "2026-01-01", None),
        ("e", "2026-01-01", None),
    ):
        assert successor_of(found, code, on) == (None if heir is None else found[heir])


def test_the_tree_of_a_day() -> None:
    """Each day has its units; three levels until 30 June 2025 and two after it, and no unit hangs in the air."""
    old, new = "2025-06-30", "2025-07-01"
    found = [
        Unit(code="79", name="TP.HCM", kind="thành phố"),
        Unit(code="760", name="Quận 1", kind="quận", parent="79", valid_to=old),
        Unit(code="1", name="Bến Nghé", kind="phường", parent="760", valid_to=old, merged_into="2"),
        Unit(code="2", name="Sài Gòn", kind="phường", parent="79", valid_from=new),
        Unit(code="3", name="Ở lại", kind="phường", parent="760"),
        Unit(code="DU", name="Đảng ủy", kind="đảng ủy", tree="organisation"),
    ]
    units = {unit.code: unit for unit in found}
    before, after = (UnitTree(units_on(units, on, "territory")) for on in (old, new))
    assert [unit.code for unit in before.path("1")] == ["79", "760", "1"]
    assert sorted(unit.code for unit in after.units) == ["2", "3", "79"]
    assert [unit.code for unit in after.roots] == ["79", "3"]
    assert [unit.code for unit in units_on(units, new, "organisation")] == ["DU"]
