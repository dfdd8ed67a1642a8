"""Command `python -m deploy.api`: write or check the generated documents and reference pages."""

import importlib
from typing import Annotated

import typer

from deploy.api import api_docs, reference

# By name: the chart's files are made from the documents of this package, so an import would be a circle.
chart = importlib.import_module("deploy.kubernetes.generated")


def main(check: Annotated[bool, typer.Option(help="Report what is out of date, write nothing.")] = False) -> None:
    """Write OpenAPI, AsyncAPI, the reference pages of the documentation, and the generated files of the chart."""
    if check:
        out_of_date = [*api_docs.stale(), *reference.stale_pages(), *chart.stale()]
        typer.echo("out of date: " + ", ".join(out_of_date) if out_of_date else "up to date")
        raise typer.Exit(bool(out_of_date))
    api_docs.write_documents()
    reference.write_pages()
    chart.write()
    pages, parts = len(reference.pages()), len(chart.files())
    typer.echo(f"wrote {len(api_docs.documents())} documents, {pages} reference pages, {parts} files of the chart")


if __name__ == "__main__":
    typer.run(main)
