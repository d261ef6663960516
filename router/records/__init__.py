"""The decision records: one chained, content-free row a request, and what is made of them."""
