"""`python -m bali_cli` is `bali`."""

from bali_cli.main import main

main()
