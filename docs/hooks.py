"""Show each notebook as a page of the site: its text, its code and its saved outputs as Markdown."""

from __future__ import annotations

import json
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every notebook; mkdocs calls this hook by its name."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        text = (
            f"{as_markdown(json.loads(file.content_string))}\n\n[Download this page as a notebook]({file.name}.ipynb)\n"
        )
        files.append(File.generated(config, f"{file.src_uri.removesuffix('.ipynb')}.md", content=text))
    return files


def as_markdown(notebook: dict[str, Any]) -> str:
    """Return the cells of a notebook, in the format of nbformat 4, as Markdown."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_shown(output) for output in cell.get("outputs", [])]
    return "\n\n".join(parts)


def _shown(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        return f"![Output of the cell above](data:image/png;base64,{''.join(data['image/png']).strip()})"
    return f"```text\n{''.join(data['text/plain']).rstrip()}\n```"
