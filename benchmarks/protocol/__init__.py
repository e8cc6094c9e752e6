"""One benchmark of everything: sets x methods x recipes x seeds, in one table of results.

To add a set, a method or a recipe, add its line to the table in `sets`, `methods` or `recipes`.
"""
