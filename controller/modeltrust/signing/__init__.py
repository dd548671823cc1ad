"""Who signed: strict verification of OMS bundles, offline."""
