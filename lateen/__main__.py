"""`python -m lateen` is the command `lateen`."""

from lateen.cli.main import main

if __name__ == "__main__":
    main()
