"""What makes the parts of the site that nobody writes by hand.

``names`` knows the public names of the packages and which chapter shows which of them. From it come
the API pages (``api_pages``) and the links between them and the chapters (``links_to_api``). The
other files write the command reference, the notebooks, the gallery and the card that is shown where
somebody shares a link, and ``check_links`` follows every link of the finished site.
"""
