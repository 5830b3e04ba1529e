"""From a file or a live source to a result: streams are read, evidence extracted, windows encoded, scored and fused."""
