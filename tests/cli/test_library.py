from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import pipeline
from stylebank.bank import Bank
from tests.conftest import DATA, LAYERS, Result

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def three_styles(small_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three") / "bank"
    shutil.copytree(small_bank, folder)
    for name in ("poppies", "starry_night"):
        pipeline.add(Bank(folder), DATA / f"styles/{name}.jpg", scales=(96,), layers=LAYERS, tags=["flowers"])
    return folder


@pytest.fixture
def small_bank_of_three(three_styles: Path, bank_folder: Path) -> Path:
    shutil.copytree(three_styles, bank_folder, dirs_exist_ok=True)
    return bank_folder


@pytest.mark.usefixtures("small_bank_of_three")
class TestLibrary:
    def test_a_mix_is_kept_told_and_applied(self, run: Run, photographs: Path, tmp_path: Path) -> None:
        result = run("mix", "both", "--from", "wave:3", "--from", "poppies", "--tag", "mixed")
        assert result.code == 0, result.stderr
        assert result.stdout == "both: mix of wave 0.75, poppies 0.25, at 96, in closed form\n"
        assert "mix of wave 0.75 (" in run("show", "both").stdout
        shown = json.loads(run("show", "both", "--json").stdout)
        assert [part["name"] for part in shown["recipe"]["parts"]] == ["wave", "poppies"]
        done = run(
            "apply", "--style", "both", photographs / "rocket.jpg", "--output", tmp_path, "--size", 64, "--steps", 2
        )
        assert done.code == 0 and (tmp_path / "rocket.both.jpg").exists()

    def test_three_tell_how_many_iterations_they_took(self, run: Run) -> None:
        result = run("-v", "mix", "all", "--from", "wave", "--from", "poppies", "--from", "starry_night")
        assert result.code == 0 and "iterations" in result.stdout and "detail: 96 conv3_1" in result.stderr
        assert "0.333" in result.stdout and "not converged" not in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("wave", "--from", "poppies"), "already in the bank"),
            (("new", "--from", "poppy"), "Did you mean poppies"),
            (("new", "--from", "poppies:-1"), "expected a number from 0 up"),
            (("new", "--from", "poppies:0", "--from", "wave:0"), "above 0"),
            (("../new", "--from", "poppies"), "start with '.'"),
            (("new",), "Missing option '--from'"),
        ],
    )
    def test_what_makes_no_sense_is_one_line(self, run: Run, arguments: tuple[str, ...], reason: str) -> None:
        result = run("mix", *arguments)
        assert result.code == 2 and reason in result.stderr and "Traceback" not in result.stderr
        assert "--name" not in result.stderr

    def test_a_name_with_a_colon_is_a_name(self, run: Run) -> None:
        run("rename", "wave", "wave: 1831")
        assert run("mix", "new", "--from", "wave: 1831:1", "--from", "poppies:1").code == 0
        run("rename", "wave: 1831", "wave:great")
        assert run("mix", "new", "--from", "wave:great", "--from", "poppies", "--replace").code == 0

    def test_a_pool_counts_by_pixels_or_equally(self, run: Run) -> None:
        result = run("pool", "hokusai", "wave", "poppies", "--tag", "hokusai")
        assert result.code == 0 and result.stdout.startswith("hokusai: pool of wave 0.4") and "at 96" in result.stdout
        result = run("pool", "hokusai", "wave", "poppies", "--weights", "equal", "--replace")
        assert result.stdout == "hokusai: pool of wave 0.5, poppies 0.5, at 96\n"
        assert run("pool", "x", "wave", "nope").code == 2

    def test_the_nearest_are_listed_nearest_first(self, run: Run) -> None:
        result = run("-v", "similar", "poppies")
        lines = result.stdout.splitlines()
        assert result.code == 0 and {line.split()[0] for line in lines} == {"wave", "starry_night"}
        distances = [float(line.split()[1]) for line in lines]
        assert distances == sorted(distances) and "compared in full" in result.stderr
        found = json.loads(run("similar", "poppies", "--json", "-n", 1).stdout)
        assert [one["name"] for one in found] == [lines[0].split()[0]]
        assert set(found[0]["shares"]) == {"pixels", *LAYERS} and sum(found[0]["shares"].values()) == pytest.approx(1)

    def test_a_picture_is_found_by_its_own_style(self, run: Run) -> None:
        result = run("similar", DATA / "styles/poppies.jpg", "--scale", 96, "--number", 1)
        assert result.stdout.startswith("poppies  0.000")

    @pytest.mark.parametrize(
        ("query", "code", "reason"),
        [
            ("nope", 2, "There is no image"),
            ("../x", 2, "start with '.'"),
            ("a/b.jpg", 2, "There is no image"),
            (__file__, 1, "not an image"),
        ],
    )
    def test_what_is_neither_style_nor_picture_is_one_line(self, run: Run, query: str, code: int, reason: str) -> None:
        result = run("similar", query)
        assert (result.code, result.stdout) == (code, "") and reason in result.stderr

    def test_nothing_that_can_be_compared_is_an_error(self, run: Run, tmp_path: Path) -> None:
        Image.new("RGB", (48, 48), (200, 30, 90)).save(tmp_path / "small.png")
        result = run("similar", tmp_path / "small.png")
        assert (result.code, result.stdout) == (2, "")
        assert "3 of 3 styles measured at 96 pixels, not near 48. Give fewer --layers, or measure" in result.stderr

    def test_a_picture_of_another_scale_is_compared_where_the_styles_are(self, run: Run) -> None:
        result = run("similar", DATA / "styles/poppies.jpg", "--number", 1)
        assert result.code == 0 and result.stdout.startswith("poppies  0.000")
        assert "3 of 3 styles compared at 96 pixels, not 512" in result.stderr

    def test_a_bank_of_one_has_no_neighbours(self, run: Run) -> None:
        run("remove", "poppies", "starry_night")
        result = run("similar", "wave")
        assert (result.code, result.stdout) == (0, "") and "no other style" in result.stderr
        assert run("similar", "wave", "--json").stdout == "[]\n"
        run("remove", "wave")
        assert "has no style to compare" in run("similar", DATA / "styles/poppies.jpg").stderr

    def test_tags_are_given_listed_and_taken(self, run: Run) -> None:
        assert run("tag", "wave", "poppies", "--add", "sea", "--add", "blue").stdout == (
            "wave: sea blue\npoppies: flowers sea blue\n"
        )
        assert run("list", "--tag", "sea", "--tag", "flowers").stdout.split()[0] == "poppies"
        assert run("tag", "wave", "--remove", "sea", "--remove", "blue").stdout == "wave: no tags\n"
        result = run("list", "--tag", "dogs")
        assert (result.code, result.stdout) == (0, "") and "Tags: blue, flowers, sea" in result.stderr
        assert run("tag", "wave").code == 2 and run("tag", "nope", "--add", "x").code == 2

    def test_the_list_is_sorted(self, run: Run, bank_folder: Path) -> None:
        def names(order: str) -> list[str]:
            return [line.split()[0] for line in run("list", "--sort", order).stdout.splitlines()]

        assert names("name") == ["poppies", "starry_night", "wave"]
        assert names("size") == ["starry_night", "wave", "poppies"]
        bank = Bank(bank_folder)
        early = dataclasses.replace(bank.header("wave"), created="2001-01-01T00:00:00+00:00")
        bank.update("wave", lambda style: dataclasses.replace(style, header=early))
        assert names("created") == ["wave", "poppies", "starry_night"]
        assert names("source") == ["wave", "poppies", "starry_night"]

    def test_a_gallery_with_swatches_keeps_them(self, run: Run, bank_folder: Path, tmp_path: Path) -> None:
        run("remove", "poppies", "starry_night")
        digest = Bank(bank_folder).header("wave").content_sha256
        result = run("gallery", "--output", tmp_path / "site", "--swatches")
        assert result.code == 0 and "1 style, " in result.stdout, result.stderr
        style = Bank(bank_folder).get("wave")
        assert style.swatch.startswith(b"\xff\xd8") and style.header.content_sha256 == digest
        assert "synthesising its swatch" in result.stderr
        again = run("gallery", "-o", tmp_path / "site", "--swatches", "--overwrite")
        assert again.code == 0 and "synthesising" not in again.stderr
        assert run("gallery", "-o", tmp_path / "site").code == 1
        assert run("verify").code == 0

    def test_a_style_of_other_weights_gets_no_swatch_and_the_page_is_made(
        self, run: Run, bank_folder: Path, tmp_path: Path
    ) -> None:
        run("remove", "poppies", "starry_night")
        whole = Bank(bank_folder).get("wave")
        foreign = dataclasses.replace(whole.header.fingerprint, weights_sha256="0" * 64)
        header = dataclasses.replace(whole.header, name="foreign", fingerprint=foreign)
        Bank(bank_folder).add(dataclasses.replace(whole, header=header))
        result = run("gallery", "-o", tmp_path / "page.html", "--swatches")
        assert result.code == 0 and "2 styles" in result.stdout
        assert "note: no swatch: " in result.stderr and "'foreign'" in result.stderr
        assert Bank(bank_folder).get("wave").swatch

    def test_where_a_map_cannot_go_is_told_before_its_distances(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("stylebank.pages.map.atlas", lambda *_, **__: pytest.fail("computed first"))
        (tmp_path / "there.png").write_bytes(b"")
        assert run("map", "-o", tmp_path / "map.jpg").code == 2
        assert run("map", "-o", tmp_path / "there.png").code == 1

    def test_maps_are_pages_and_pictures(self, run: Run, tmp_path: Path) -> None:
        for name in ("map.html", "map.png"):
            result = run("map", "--output", tmp_path / name, "--layers", "pixels")
            assert result.code == 0 and "3 styles, placed by" in result.stdout, result.stderr
        assert run("map", "-o", tmp_path / "map.gif").code == 2
        assert run("map", "-o", tmp_path / "x.png", "--tag", "dogs").code == 2

    def test_a_style_travels_to_another_bank(self, run: Run, bank_folder: Path, tmp_path: Path) -> None:
        told = run("export", "wave", "poppies", "-o", tmp_path / "out", "--no-thumbnail")
        assert told.code == 0 and len(told.stdout.splitlines()) == 2
        files = sorted((tmp_path / "out").iterdir())
        digest = Bank(bank_folder).header("wave").content_sha256
        assert told.stdout.splitlines()[0].endswith(digest)
        wave = next(file for file in files if "wave" in file.name)
        taken = run("import", wave, "--rename", "a wave", "--expect-sha256", digest)
        assert taken.code == 0 and taken.stdout == f"a wave: imported, {digest}\n"
        assert Bank(bank_folder).get("a wave").thumbnail == b""
        clash = run("import", *files)
        assert clash.code == 1 and clash.stderr.count("already in the bank") == 2
        assert run("import", *files, "--rename", "x").code == 2
        assert run("import", *files, "--replace").code == 0
        (tmp_path / "bad.stylebank.h5").write_text("hello")
        run("rename", "wave", "caf\u00e9")
        twice = run("export", "caf\u00e9", "cafe\u0301", "-o", tmp_path / "one")
        assert twice.code == 0 and len(twice.stdout.splitlines()) == 1
        bad = run("import", tmp_path / "bad.stylebank.h5")
        assert bad.code == 1 and "Nothing was imported" in bad.stderr
        assert run("import", tmp_path / "nowhere.stylebank.h5").code == 1

    def test_verify_ends_with_three_where_anything_is_damaged(self, run: Run, bank_folder: Path) -> None:
        result = run("verify")
        assert result.code == 0 and result.stdout == "poppies: whole\nstarry_night: whole\nwave: whole\n"
        assert "Not proven" in result.stderr
        path = Bank(bank_folder).path("wave")
        path.write_bytes(path.read_bytes()[:-5000])
        result = run("verify")
        assert result.code == 3 and "wave-" in result.stderr and "poppies: whole" in result.stdout
        found = json.loads(run("verify", "--json").stdout)
        assert [one["whole"] for one in found].count(False) == 1
        assert run("verify", "poppies").code == 0 and run("verify", "nope").code == 2

    def test_an_added_style_can_be_without_a_picture(self, run: Run, bank_folder: Path) -> None:
        arguments = ("--scales", 64, "--layers", "conv1_1", "--no-thumbnail", "--name", "bare")
        assert run("add", DATA / "styles/poppies.jpg", *arguments).code == 0
        assert Bank(bank_folder).get("bare").thumbnail == b""

    def test_an_empty_bank_is_no_trouble(self, run: Run, tmp_path: Path) -> None:
        run("remove", "wave", "poppies", "starry_night")
        verified = run("verify")
        assert (verified.code, verified.stdout) == (0, "") and "is empty" in verified.stderr
        shown = run("gallery", "-o", tmp_path)
        assert shown.code == 0 and "0 styles" in shown.stdout and "the bank is empty" in shown.stderr
        assert run("map", "-o", tmp_path / "x.html").code == 2
        assert not (tmp_path / "x.html").exists()
