def handle(event, context):
    return {"statusCode": 202, "body": {"body": event.body.decode(), "method": event.method, "path": event.path,
                                        "query": event.query}, "headers": {"X-Own": "yes"}}
