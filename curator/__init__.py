"""The curator: what does a collection need that is not asked for by a visitor?"""
