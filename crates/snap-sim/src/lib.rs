//! A SNAP BI provider with a ledger and a fault script, for the demo and the tests.
