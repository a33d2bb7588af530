"""settings: read from a mapping, every fault found at once."""

import pytest

from petsage.service.settings import Release, Settings, SettingsError


def test_nothing_set_gives_the_defaults() -> None:
    assert Settings.from_environ({}) == Settings()
    assert (Settings().port, Settings().max_body_bytes) == (8000, 65_536)


def test_every_variable_is_read_and_blanks_around_it_are_dropped() -> None:
    settings = Settings.from_environ(
        {
            "PORT": " 5000 ",
            "PETSAGE_HOST": "0::1",
            "WEB_CONCURRENCY": "2",
            "PETSAGE_RELEASE": " v43\n",
            "PETSAGE_COMMIT": "12e4567",
            "PETSAGE_INSTANCE": "web.1",
            "PETSAGE_DISCLOSE_RELEASE": "No",
            "PETSAGE_MAX_BODY_BYTES": "1024",
            "PETSAGE_LOG_LEVEL": "warning",
            "PETSAGE_LOG_PROBES": "0",
            "PETSAGE_TRUSTED_PROXIES": "2",
        }
    )
    assert settings == Settings(
        port=5000,
        port_given=True,
        host="::1",
        workers=2,
        release=Release("v43", "12e4567", "PETSAGE_RELEASE", "PETSAGE_COMMIT"),
        instance="web.1",
        disclose_release=False,
        max_body_bytes=1024,
        log_level="WARNING",
        log_probes=False,
        trusted_proxies=2,
    )


FAULTS = {
    "port of a service link": ("PORT", "tcp://10.0.0.1:80"),
    "port 0": ("PORT", "0"),
    "port 65536": ("PORT", "65536"),
    "name of a host": ("PETSAGE_HOST", "localhost"),
    "part of an address": ("PETSAGE_HOST", "127.1"),
    "brackets": ("PETSAGE_HOST", "[::1]"),
    "zone": ("PETSAGE_HOST", "fe80::1%eth0"),
    "address with a port": ("PETSAGE_HOST", "127.0.0.1:80"),
    "no worker": ("WEB_CONCURRENCY", "0"),
    "boolean": ("PETSAGE_DISCLOSE_RELEASE", "maybe"),
    "underscore in a number": ("PETSAGE_MAX_BODY_BYTES", "1_000"),
    "sign": ("PETSAGE_MAX_BODY_BYTES", "+5"),
    "other digits": ("PETSAGE_MAX_BODY_BYTES", "١٢"),
    "endless number": ("PETSAGE_MAX_BODY_BYTES", "9" * 5_000),
    "no body at all": ("PETSAGE_MAX_BODY_BYTES", "0"),
    "level": ("PETSAGE_LOG_LEVEL", "LOUD"),
    "negative proxies": ("PETSAGE_TRUSTED_PROXIES", "-1"),
    "comma": ("PETSAGE_RELEASE", "v43,v44"),
    "blank inside": ("PETSAGE_RELEASE", "v 43"),
    "line end inside": ("PETSAGE_COMMIT", "abc\r\nSet-Cookie: a=b"),
    "not ASCII": ("PETSAGE_INSTANCE", "wéb.1"),
    "201 characters": ("PETSAGE_RELEASE", "v" * 201),
    "platform's release": ("HEROKU_RELEASE_VERSION", "v 43"),
}


@pytest.mark.parametrize(("variable", "value"), FAULTS.values(), ids=FAULTS)
def test_a_value_that_can_not_be_meant_is_a_fault_that_names_its_variable(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environ({variable: value})
    assert [fault.split()[0] for fault in error.value.errors] == [variable]
    assert value == "0" or value not in str(error.value)


ADDRESSES = {
    "nothing": ({}, "127.0.0.1:8000"),
    "a port": ({"PORT": "5000"}, "0.0.0.0:5000"),
    "a host": ({"PETSAGE_HOST": "0.0.0.0"}, "0.0.0.0:8000"),
    "both": ({"PETSAGE_HOST": "127.0.0.2", "PORT": "5000"}, "127.0.0.2:5000"),
    "IPv6": ({"PETSAGE_HOST": "::1", "PORT": "5000"}, "[::1]:5000"),
    "all of IPv6": ({"PETSAGE_HOST": "::"}, "[::]:8000"),
}


@pytest.mark.parametrize(("given", "address"), ADDRESSES.values(), ids=ADDRESSES)
def test_it_listens_where_host_and_port_say_and_without_either_on_this_machine_alone(
    given: dict[str, str], address: str
) -> None:
    assert Settings.from_environ(given).address == address


def test_all_faults_come_together() -> None:
    environ = dict(FAULTS.values())
    environ["RENDER_GIT_COMMIT"] = "not, looked, at"
    with pytest.raises(SettingsError) as error:
        Settings.from_environ(environ)
    expected = set(environ) - {"RENDER_GIT_COMMIT", "HEROKU_RELEASE_VERSION"}
    assert {fault.split()[0] for fault in error.value.errors} == expected


def test_a_variable_that_tells_both_release_and_commit_is_blamed_once() -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environ({"RENDER_GIT_COMMIT": "a b"})
    assert len(error.value.errors) == 1


def test_names_of_two_hundred_characters_are_taken() -> None:
    assert Settings.from_environ({"PETSAGE_RELEASE": "v" * 200}).release.name == "v" * 200


def test_variables_that_kubernetes_makes_for_a_service_named_petsage_do_no_harm() -> None:
    made = {"PETSAGE_PORT": "tcp://10.0.0.1:80", "PETSAGE_SERVICE_HOST": "10.0.0.1"}
    assert Settings.from_environ(made) == Settings()


@pytest.mark.parametrize(
    ("environ", "release", "commit"),
    [
        ({}, (None, None), (None, None)),
        ({"PETSAGE_RELEASE": "a", "HEROKU_RELEASE_VERSION": "b"}, ("a", "PETSAGE_RELEASE"), None),
        ({"PETSAGE_RELEASE": " ", "KAMAL_VERSION": "c"}, ("c", "KAMAL_VERSION"), None),
        ({"HEROKU_RELEASE_VERSION": "v1"}, ("v1", "HEROKU_RELEASE_VERSION"), None),
        (
            {"RENDER_GIT_COMMIT": "abc"},
            ("abc", "RENDER_GIT_COMMIT"),
            ("abc", "RENDER_GIT_COMMIT"),
        ),
        (
            {"HEROKU_SLUG_COMMIT": "s", "HEROKU_BUILD_COMMIT": "b", "SOURCE_VERSION": "v"},
            None,
            ("b", "HEROKU_BUILD_COMMIT"),
        ),
        ({"HEROKU_SLUG_COMMIT": "s", "SOURCE_VERSION": "v"}, None, ("s", "HEROKU_SLUG_COMMIT")),
        ({"SOURCE_VERSION": "v"}, None, ("v", "SOURCE_VERSION")),
    ],
)
def test_the_first_variable_that_is_not_blank_counts(
    environ: dict[str, str],
    release: tuple[str | None, str | None] | None,
    commit: tuple[str | None, str | None] | None,
) -> None:
    found = Settings.from_environ(environ).release
    assert (found.name, found.name_source) == (release or (None, None))
    assert (found.commit, found.commit_source) == (commit or (None, None))
