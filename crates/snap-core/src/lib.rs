//! SNAP BI on the wire: models, amounts, ids, response codes, signatures, provider profiles. No I/O.
