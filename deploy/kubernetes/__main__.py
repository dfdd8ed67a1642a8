"""Writes the generated files of this folder: `python -m deploy.kubernetes`, a part of `make docs`."""

from deploy.kubernetes.generated import write

if __name__ == "__main__":
    write()
