"""Chapter 4f: who chooses alpha?"""
