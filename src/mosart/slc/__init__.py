"""From SLC products to a coregistered stack (the extra ``mosart[slc]``)."""
