"""Command `python -m deploy.api`: write or check the generated documents and reference pages."""

from typing import Annotated

import typer

from deploy.api import api_docs, reference


def main(check: Annotated[bool, typer.Option(help="Report what is out of date, write nothing.")] = False) -> None:
    """Write OpenAPI, AsyncAPI and the reference pages of the documentation."""
    if check:
        out_of_date = [*api_docs.stale(), *reference.stale_pages()]
        typer.echo("out of date: " + ", ".join(out_of_date) if out_of_date else "up to date")
        raise typer.Exit(bool(out_of_date))
    api_docs.write_documents()
    reference.write_pages()
    typer.echo(f"wrote {len(api_docs.documents())} documents and {len(reference.pages())} reference pages")


if __name__ == "__main__":
    typer.run(main)
