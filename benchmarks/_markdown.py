"""Markdown tables."""


def print_table(header, rows, n_text=1, *, is_aligned=True):
    """Print a markdown table: the first `n_text` columns to the left, the others to the right.

    Its source is aligned for the terminal, or short, for a page.
    """
    cells = [list(header)] + [[str(cell) for cell in row] for row in rows]
    if not is_aligned:
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        rule = "|" + "---|" * n_text + "--:|" * (len(header) - n_text)
        print("\n".join([lines[0], rule, *lines[1:]]), flush=True)
        return
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    rules = ["-" * (w + 2) if i < n_text else "-" * (w + 1) + ":" for i, w in enumerate(widths)]
    lines = []
    for row in cells:
        padded = [
            cell.ljust(width) if i < n_text else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(padded) + " |")
    print("\n".join([lines[0], "|" + "|".join(rules) + "|", *lines[1:]]), flush=True)
