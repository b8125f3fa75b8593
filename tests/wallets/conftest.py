"""What the tests of the commands share."""

import pytest

from tests.wallets.commands import written


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four profiles: of a merchant, the same in GBK, in certificate mode, and of a sandbox wallet."""
    file = tmp_path_factory.mktemp("config") / "paystate.toml"
    written(file)
    written(file, name="gbk", charset="GBK")
    written(
        file,
        name="certified",
        more='app_cert_sn = "c1"\nalipay_root_cert_sn = "r1_r2"\napp_auth_token = "granted"',
    )
    written(file, name="wallet", private_key="wallet_rsa2048")
    return str(file)
