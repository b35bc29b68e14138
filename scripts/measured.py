"""What the pages of measurements share: records by processor, and the word on a figure."""


def of_processor(kept, processor):
    """The part of a file of measurements that is this processor's, made where there is none: the file's own is that of
    the first that was measured, and the others are its `elsewhere`."""
    if kept.setdefault("processor", processor) == processor:
        return kept
    return kept.setdefault("elsewhere", {}).setdefault(processor, {})


def verdict(good):
    return "pass" if good else "falls short"
