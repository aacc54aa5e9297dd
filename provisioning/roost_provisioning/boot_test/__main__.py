"""`python -m roost_provisioning.boot_test`, which `scripts/boot-test` runs."""

from roost_provisioning.boot_test.main import main

if __name__ == "__main__":
    raise SystemExit(main())
