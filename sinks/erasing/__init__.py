"""Forgetting people: who is meant, what is stored of them, what is ordered, what is deleted, what the receipt says.

`run.erase` does it all. No plain identifier leaves it but to the screen: queries get them as tables beside their text, and
mutations, whose text ClickHouse keeps, speak of rows by ids and keyed hashes.
"""
