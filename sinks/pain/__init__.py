"""Pain points, moments of truth, and what a change did: read from ClickHouse, judged purely, kept for BI."""
