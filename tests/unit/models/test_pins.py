import pytest

from roost_models.bundle.pins import check_spec, satisfies


@pytest.mark.parametrize(
    ("version", "spec"),
    [
        ("3.11.2", ">=3.11,<3.14"),
        ("2.14.0", "==2.14.0"),
        ("2.14", "==2.14.0"),
        ("2.14.7", "==2.14.*"),
        ("1.26.4", "<2"),
        ("2.0.0rc1", "!=1.0"),
        ("10.0", ">9.9"),
        ("1", ""),
    ],
)
def test_a_version_within_its_pin(version: str, spec: str) -> None:
    assert satisfies(version, spec)


@pytest.mark.parametrize(
    ("version", "spec"),
    [
        ("3.10.9", ">=3.11"),
        ("2.14.1", "==2.14.0"),
        ("2.15.0", "==2.14.*"),
        ("2.0", "<2"),
        ("weird", ">=1"),
        ("3.9", ">3.10"),
    ],
)
def test_a_version_outside_its_pin(version: str, spec: str) -> None:
    assert not satisfies(version, spec)


@pytest.mark.parametrize("spec", ["three", "~=1.0", ">=1.*", "1.0", ">= ", "==1.0 or 2"])
def test_what_is_no_pin_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="is not a version pin"):
        check_spec(spec)
